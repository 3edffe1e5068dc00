"""Stores for the mutants: the same as the handlers'."""

from tests.handlers.conftest import intake, keys, made, routing

__all__ = ["intake", "keys", "made", "routing"]
