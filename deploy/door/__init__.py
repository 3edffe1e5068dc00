"""The front door: one port before the four services and the mail catcher."""
