"""aiokafka is told that its far end has hung up, also where uvloop tells it in its own way.

Writing to a connection that was closed meanwhile raises nothing on asyncio's own loop, and RuntimeError on uvloop.
aiokafka expects OSError alone (its issue 1038, open): the task that leads a consumer in its group, or the one that
fetches, ends for good, and the consumer hears nothing any more, or raises the same at every poll.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send: Any = AIOKafkaConnection.send


def is_told() -> None:
    """From now on such a connection is closed, and its user, in the whole process, gets KafkaConnectionError."""
    AIOKafkaConnection.send = _sent  # type: ignore[method-assign]


def _sent(connection: Any, request: Any, expect_response: bool = True) -> Any:
    try:
        return _send(connection, request, expect_response)
    except KafkaError:  # a RuntimeError, too
        raise
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError("the far end has hung up") from error
