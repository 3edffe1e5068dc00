"""The one exception that a person reads."""


class LaunchError(Exception):
    """Something stands in the way. Its text is one or two plain sentences that end with what to do."""
