"""A hearer for tests: it writes down what it heard, and can be told to fail, to wait and to answer."""

from tests.listening.listener import Listener, told
from tests.listening.stores import emptied, listening, speak

__all__ = ["Listener", "emptied", "listening", "speak", "told"]
