"""A relay or an ear as a process of its own, for tests that stop, suspend and kill it.

``python -m tests.listening relay|ear SERVICE``; DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS and SLOT in the environment, and
MUTANT, which takes a guard away so that a test can show what it is there for. STANDS_STILL=copy stops an ear for good
in the middle of its first COPY, STANDS_STILL=shards when it holds the shards of its first batch and has sent the first
statement that is to be prepared.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Collection
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from shared import telemetry
from shared.bus import Bus, lanes, rows
from shared.bus.rows import hold_shards
from shared.outbox import Relay
from shared.store import Database, Transaction, open_pool
from shared.topics import Service
from tests.listening.listener import Listener


async def _no_incarnations(*_: object) -> dict[str, object]:
    return {}


_heed = Bus._heed


async def _offset_first(self: Bus, lane: Any, ear: Any, raw: Any) -> None:
    """What cannot be committed, because its partitions go to the other lane just now, is not heard either."""
    try:
        await ear._consumer.commit({TopicPartition(one.topic, one.partition): one.offset + 1 for one in raw})
    except (KafkaError, IllegalStateError):
        return
    await _heed(self, lane, ear, raw)


_MUTANTS: Final[dict[str, tuple[tuple[Any, str, Any], ...]]] = {
    "": (),
    "no-incarnations": ((lanes, "topic_ids", _no_incarnations),),
    "offset-first": ((Bus, "_heed", _offset_first),),
}


def _stand_still() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


async def _hold_and_stand_still(tx: Transaction, shards: Collection[int]) -> None:
    """What comes next is sent before the loop comes round again, and its answer is not read any more."""
    await hold_shards(tx, shards)
    asyncio.get_running_loop().call_soon(_stand_still)


async def main(role: str, service: Service) -> None:
    """Carry or hear until SIGTERM."""
    url, kafka = os.environ["DATABASE_URL"], os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if role == "relay":
        carrying = asyncio.create_task(Relay(service, url, kafka, asyncio.Event()).run())
        await stop.wait()
        carrying.cancel()
        return
    database = Database(await open_pool(url, name=f"tests {service}", smallest=1, largest=6))
    listener = Listener(service)
    match os.environ.get("STANDS_STILL"):
        case "copy":
            listener.feeding = _stand_still
        case "shards":
            module: Any = rows
            module.hold_shards = _hold_and_stand_still
    bus = Bus(listener.hearer(), database, kafka, slot=int(os.environ["SLOT"]))
    await bus.start()
    await stop.wait()
    await bus.stop()


if __name__ == "__main__":
    telemetry.start_logging("tests", "WARNING")
    for owner, name, mutant in _MUTANTS[os.environ["MUTANT"]]:
        setattr(owner, name, mutant)
    asyncio.run(main(sys.argv[1], Service(sys.argv[2])))
