"""Many who hand dossiers in at once, each over a connection of his own: ``python -m tests.bench.clients GIVEN``.

Each sends his next dossier when the last is answered, or with a ``rate`` when it is due. The client is as thin as it can be, because it works on the same
machine. Prints seconds, and the middle and the 99th hundredth of the answers' times, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any, Final

import uvloop

_HEAD: Final = (
    "POST /intake/dossiers HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    "x-dev-actor: id=desk-1; unit={unit}; roles=desk,officer\r\nidempotency-key: {key}\r\ncontent-length: {length}\r\n\r\n"
)


async def main() -> None:
    """Hand in what the command line says."""
    given = json.loads(sys.argv[1])
    numbers = iter(range(given["count"]))
    times: list[float] = []
    bodies = {unit: json.dumps({"unit": unit, **given["body"]}).encode() for unit in given["units"]}
    connections = [await asyncio.open_connection("127.0.0.1", given["port"]) for _ in range(given["connections"])]
    began = time.perf_counter()
    due = _Due(began, given.get("rate"))
    await asyncio.gather(*(_hand_in(*one, numbers, bodies, times, due) for one in connections))
    seconds = time.perf_counter() - began
    times.sort()
    said = {"seconds": seconds, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}
    sys.stdout.write(json.dumps(said))


@dataclass(frozen=True, slots=True)
class _Due:
    """When each dossier is to be sent: its time counts from then, so that a door that is late cannot slow those who come."""

    began: float
    rate: float | None

    async def wait_for(self, number: int) -> float:
        """Returns the instant from which the answer's time counts."""
        if self.rate is None:
            return time.perf_counter()
        due = self.began + number / self.rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return due


async def _hand_in(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    numbers: Any,
    bodies: dict[str, bytes],
    times: list[float],
    due: _Due,
) -> None:
    units = list(bodies)
    for number in numbers:
        unit = units[number % len(units)]
        body = bodies[unit]
        head = _HEAD.format(unit=unit, key=uuid.uuid4(), length=len(body))
        sent = await due.wait_for(number)
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        times.append(time.perf_counter() - sent)
        if not answer.startswith(b"HTTP/1.1 201"):
            raise SystemExit(f"not received: {answer.decode()}{body.decode()}")
    writer.close()


if __name__ == "__main__":
    uvloop.run(main())
