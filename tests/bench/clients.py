"""Many who hand dossiers in at once, each over a connection of his own: ``python -m tests.bench.clients GIVEN``.

Each sends his next dossier when the last is answered, or with a ``rate`` when it is due. The client is as thin as it can be,
because it works on the same machine: no stream and no task, an answer is read where it arrives. Prints seconds, its own
processor time, and the middle and the 99th hundredth of the answers' times, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final, cast

import uvloop

_HEAD: Final = (
    "POST /intake/dossiers HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    "x-dev-actor: id=desk-1; unit={unit}; roles=desk,officer\r\ncontent-length: {length}\r\nidempotency-key: "
)
_LENGTH: Final = b"content-length: "
_END: Final = b"\r\n\r\n"


async def main() -> None:
    """Hand in what the command line says."""
    given = json.loads(sys.argv[1])
    loop = asyncio.get_running_loop()
    desk = _Desk(given["count"], [_request(unit, given["body"]) for unit in given["units"]], given.get("rate"))
    everybody = [
        await loop.create_connection(lambda: _Client(desk), "127.0.0.1", given["port"])
        for _ in range(given["connections"])
    ]
    used, desk.began = time.process_time(), time.perf_counter()
    for _, one in everybody:
        one.hand_in()
    await asyncio.gather(*(one.done for _, one in everybody))
    seconds, times = time.perf_counter() - desk.began, sorted(desk.times)
    middle, last = times[len(times) // 2], times[len(times) * 99 // 100]
    said = {"seconds": seconds, "p50": middle, "p99": last, "used": time.process_time() - used}
    sys.stdout.write(json.dumps(said))


def _request(unit: str, more: dict[str, Any]) -> tuple[bytes, bytes]:
    """What stands before and after the id of a command."""
    body = json.dumps({"unit": unit, **more}).encode()
    return _HEAD.format(unit=unit, length=len(body)).encode(), _END + body


class _Desk:
    """What all take from, and where they leave their times. ``rate``: how many are due in a second; None: at once."""

    def __init__(self, count: int, requests: list[tuple[bytes, bytes]], rate: float | None) -> None:
        self.numbers: Iterator[int] = iter(range(count))
        self.requests = requests
        self.rate = rate
        self.began = 0.0
        self.times: list[float] = []

    def request(self, number: int) -> bytes:
        before, after = self.requests[number % len(self.requests)]
        return before + str(uuid.uuid4()).encode() + after


class _Client(asyncio.Protocol):
    """One who hands in; ``done`` when there is no more, or with what went wrong.

    With a rate an answer's time counts from when its dossier was due, so that a door that is late cannot slow those who
    come.
    """

    def __init__(self, desk: _Desk) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._desk = desk
        self._read = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the door has hung up"))

    def hand_in(self) -> None:
        """Send the next one, or wait until it is due."""
        number = next(self._desk.numbers, None)
        if number is None:
            self.done.set_result(None)
            self._transport.close()
        elif self._desk.rate is None:
            self._send(number, time.perf_counter())
        else:
            due = self._desk.began + number / self._desk.rate
            wait = max(0.0, due - time.perf_counter())
            asyncio.get_running_loop().call_later(wait, self._send, number, due)

    def _send(self, number: int, since: float) -> None:
        self._sent = since
        self._transport.write(self._desk.request(number))

    def data_received(self, data: bytes) -> None:
        self._read = data if not self._read else self._read + data
        head = self._read.find(_END)
        if head < 0:
            return
        place = self._read.lower().find(_LENGTH, 0, head) + len(_LENGTH)
        length = int(self._read[place : self._read.index(b"\r", place)])
        if len(self._read) < head + len(_END) + length:
            return
        if not self._read.startswith(b"HTTP/1.1 201"):
            self.done.set_exception(SystemExit(f"not received: {self._read.decode()}"))
            self._transport.close()
            return
        self._desk.times.append(time.perf_counter() - self._sent)
        self._read = b""
        self.hand_in()


if __name__ == "__main__":
    uvloop.run(main())
