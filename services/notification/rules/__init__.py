"""Notification's rules: pure functions on frozen values; ``now`` is an argument."""
