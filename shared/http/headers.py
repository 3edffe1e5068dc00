"""What stands in a request's head."""

from starlette.types import Scope


def header_of(scope: Scope, name: bytes) -> str | None:
    """The values of a header, by its name in lower case, joined as RFC 9110 5.3 has it; None without one.

    The framework's view of all headers encodes and looks again for each that is asked for.
    """
    values = [value for given, value in scope["headers"] if given == name]
    return b", ".join(values).decode("latin-1") if values else None
