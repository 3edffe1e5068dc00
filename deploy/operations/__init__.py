"""The operators' pages: how the four services are, what could not be heard, and what became of each command."""
