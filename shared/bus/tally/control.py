"""Control: one loop of a process that reads and writes the topic of control, for its ear and for its relay.

Every process reads all of it, from now on, in no group: a message that was missed is said again in the next rotation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from shared.bus import hearing
from shared.bus.lanes import Bus
from shared.bus.tally.asking import Asker, shard_named
from shared.bus.tally.states import StateAsker
from shared.bus.tally.telling import Teller
from shared.bus.tally.wire import Asked, Message, Said, Tallied, UnreadableError, message_of, record_of
from shared.outbox import Relay
from shared.parting import parted
from shared.store import is_transient
from shared.topics import CONTROL, settings_of

log = logging.getLogger(__name__)

_LOOK_MS: Final = 250
_METADATA_AGE_MS: Final = 10_000
_SHORTEST_BACKOFF: Final = 0.2
_LONGEST_BACKOFF: Final = 5.0
_LONGEST_FAREWELL: Final = 5.0
_LARGEST: Final = 8_388_608
_MOST_UNSENT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Cadence:
    """``every``: seconds between two tallies; ``rotation``: seconds in which everything is tallied once."""

    every: float = 30.0
    rotation: float = 3600.0


@dataclass(slots=True)
class Control:
    """Anti-entropy of one process; `run` until cancelled. ``relay`` None: it only hears."""

    bus: Bus
    relay: Relay | None
    cadence: Cadence = field(default_factory=Cadence)
    asker: Asker = field(init=False)
    states: dict[str, StateAsker] = field(init=False)
    teller: Teller | None = field(init=False)
    _unsent: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the parts: for what is heard, for states, and for what is said."""
        hearer, every, rotation = self.bus.hearer, self.cadence.every, self.cadence.rotation
        longest, database, is_through = max(every, rotation), self.bus.database, self.bus.is_through
        self.asker = Asker(hearer.service, hearer.sources, database, is_through, every, longest)
        self.states = {
            topic.name: StateAsker(hearer.service, topic, kept, database, is_through, every, longest)
            for topic, kept in hearer.kept.items()
        }
        self.teller = None
        if self.relay is not None:
            self.teller = Teller(self.relay.service, self.relay, self.bus.database, every, rotation)

    @property
    def _askers(self) -> tuple[Asker | StateAsker, ...]:
        return (self.asker, *self.states.values())

    async def run(self) -> None:
        """Read and write, for ever; broker and database that are away are waited for."""
        wait = _SHORTEST_BACKOFF
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._session()
            except Exception as error:
                # Whatever it is, hearing and relaying go on, and the next round says again what this one did not.
                if isinstance(error, KafkaError) or is_transient(error):
                    log.info("control_waits", extra={"error": type(error).__name__})
                else:
                    log.exception("control_failed", extra={"error": hearing.signature(error)})
            lasted = asyncio.get_running_loop().time() - began
            wait = _SHORTEST_BACKOFF if lasted > _LONGEST_BACKOFF else min(wait * 2, _LONGEST_BACKOFF)
            await asyncio.sleep(wait)

    async def _session(self) -> None:
        name = f"{self.bus.hearer.service.value}-control"
        consumer: Any = AIOKafkaConsumer(
            bootstrap_servers=self.bus.kafka,
            client_id=name,
            auto_offset_reset="latest",
            enable_auto_commit=False,
            metadata_max_age_ms=_METADATA_AGE_MS,
            max_partition_fetch_bytes=_LARGEST,
            request_timeout_ms=10_000,
        )
        producer: Any = AIOKafkaProducer(
            bootstrap_servers=self.bus.kafka,
            client_id=name,
            acks="all",
            enable_idempotence=True,
            metadata_max_age_ms=_METADATA_AGE_MS,
            max_request_size=_LARGEST,
            request_timeout_ms=10_000,
        )
        try:
            await consumer.start()
            if CONTROL.name not in await consumer.topics():
                await self._make_topic()
            await producer.start()
            consumer.assign([TopicPartition(CONTROL.name, number) for number in range(CONTROL.partitions)])
            unsent, self._unsent = self._unsent, []
            await self._send(producer, unsent)
            while True:
                await self._round(consumer, producer)
        finally:
            for each in (consumer, producer):
                await parted(each.stop(), within=_LONGEST_FAREWELL, client=each)

    async def _make_topic(self) -> None:
        """Somebody deleted the topic of control under running services. What was on it nobody keeps: it is made again.

        All other topics are the launcher's to make, and their absence is an alarm; without this one losses pass unseen.
        """
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=self.bus.kafka)
        try:
            await admin.start()
            copies = min(3, len((await admin.describe_cluster())["brokers"]))
            new: Any = NewTopic  # untyped in aiokafka
            topic = new(CONTROL.name, CONTROL.partitions, copies, topic_configs=settings_of(CONTROL))
            await admin.create_topics([topic])
        finally:
            await parted(admin.close(), within=_LONGEST_FAREWELL)
        log.warning("control_made_anew", extra={"topic": CONTROL.name})

    async def _round(self, consumer: Any, producer: Any) -> None:
        loop = asyncio.get_running_loop()
        for records in (await consumer.getmany(timeout_ms=_LOOK_MS)).values():
            for record in records:
                await self._send(producer, await self._take(record))
        vanished = (shard_named(*where) for where in self.bus.vanished())
        self.asker.doubt(shard for shard in vanished if shard is not None)
        for asker in self._askers:
            await self._send(producer, await asker.look(loop.time()))
        if self.teller is not None:
            await self._send(producer, await self.teller.look(loop.time()))

    async def _take(self, record: ConsumerRecord[bytes, bytes]) -> Sequence[Message]:
        try:
            message = message_of(record.value)
        except UnreadableError as error:
            log.warning("control_unreadable", extra={"offset": record.offset, "because": str(error)})
            return ()
        if isinstance(message, Said) and message.topic is not None:
            if message.topic in self.states:
                self.states[message.topic].take(message)
            return ()
        if not isinstance(message, Asked):
            self.asker.take(message)
            return ()
        if self.teller is None:
            return ()
        return await self.teller.answer(message, asyncio.get_running_loop().time())

    async def _send(self, producer: Any, messages: Sequence[Message]) -> None:
        now = datetime.now(UTC)
        sent = []
        try:
            for message in messages:
                key, body, headers = record_of(message, now)
                sent.append(await producer.send(CONTROL.name, body, key=key, headers=headers, partition=0))
            await asyncio.gather(*sent)
        except BaseException as error:
            # Names and questions hold whenever they are read, and are said once. Sums grow old, and are told again.
            # What the broker will never take (too large) is not kept.
            is_away = isinstance(error, KafkaError) and not isinstance(error, MessageSizeTooLargeError)
            if is_away or not isinstance(error, Exception):
                lasting = [one for one in messages if not isinstance(one, Tallied)]
                self._unsent += lasting[: _MOST_UNSENT - len(self._unsent)]
            raise

    def figures(self) -> dict[str, int]:
        """For the status: what is lacking here, what stays so, and what hearers have that was never said here."""
        teller = self.teller
        askers = self._askers
        return {
            "compared": sum(one.compared for one in askers),
            "asked": sum(one.asked for one in askers),
            "lacking": sum(one.lacking for one in askers),
            "healed": sum(one.healed for one in askers),
            "unhealed": sum(one.unhealed for one in askers),
            "published_again": teller.published_again if teller else 0,
            "ahead": teller.ahead if teller else 0,
        }
