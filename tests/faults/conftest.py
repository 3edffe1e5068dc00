"""Stores for the mutants: the same as the handlers'."""

from tests.handlers.conftest import intake, keys, made, register, routing

__all__ = ["intake", "keys", "made", "register", "routing"]
