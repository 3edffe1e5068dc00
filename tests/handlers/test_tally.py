"""Anti-entropy on real PostgreSQL: a speaker's store and a hearer's, and between them a relay that may lose."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import uuid_utils
from aiokafka.errors import KafkaConnectionError

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import journal, outbox
from shared.bus import Bus, Control, hear_batch, held
from shared.bus.parked import Done, dead_letters, parked_records, void
from shared.bus.tally.asking import Asker
from shared.bus.tally.rules import BUCKETS, bucket_of
from shared.bus.tally.states import StateAsker
from shared.bus.tally.telling import Teller
from shared.bus.tally.wire import Asked, Lack, Message, NeverSaid, Said, Tallied
from shared.envelope import Record, headers_of
from shared.events import SupplementReceived
from shared.journal import Saying, shard_of
from shared.outbox import Relay, relay, said
from shared.outbox.said import rank
from shared.store import Database, Queries, Transaction, connect
from shared.topics import CONTACT, INTAKE, PARTITIONS, Service
from tests.listening import Listener, emptied, listening, speak
from tests.telling import MORNING, Story, record_of

_OUTBOX = Queries(Path(outbox.__file__).parent)
_EVERY = 30.0
_SHARDS = list(range(PARTITIONS))
_SPOIL = "UPDATE journal SET payload = '{\"components\": 7}' WHERE version = 2 AND aggregateid <> $1"


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_tally") as ours:
        yield ours


@dataclass(slots=True)
class Between:
    """Intake speaks, reporting hears; time passes beat by beat. ``loses`` decides what is lost on the way."""

    speaker: Database
    hearer: Database
    relay: Relay
    teller: Teller
    asker: Asker
    now: float = 1000.0
    listener: Listener = field(default_factory=Listener)
    said: list[Message] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)

    async def speak(self, *subjects: str) -> None:
        """Intake says one thing more of each."""
        await speak(self.speaker, Service.INTAKE, [(subject, SupplementReceived()) for subject in subjects])

    async def carry(self, loses: Callable[[str, int], bool] = lambda *_: False) -> None:
        """As the relay does, with its own statements: everything unsent is acknowledged, and then heard or lost."""
        async with self.speaker.pool.acquire() as connection:
            pointers = await connection.fetch(_OUTBOX["unsent"], _SHARDS, 5000, 10**8, [CONTACT.name], [])
            await connection.execute(_OUTBOX["forget_sent"], [one["id"] for one in pointers])
        self.relay._remember(pointers)
        events = [one for one in pointers if one["is_event"]]
        self.sent += [(one["aggregateid"], one["version"]) for one in events]
        await self.hears([_record(one) for one in events if not loses(one["aggregateid"], one["version"])])

    async def hears(self, records: Sequence[Record]) -> None:
        """The hearer has a batch."""
        async with self.hearer.transaction() as tx:
            await hear_batch(tx, self.listener.hearer(), records)

    async def beat(self, *, answered: bool = True) -> list[Asked]:
        """A beat: what the speaker tells is compared, what the hearer asks is answered and compared, and carried."""
        self.now += _EVERY
        self._tell(await self.teller.look(self.now))
        questions = await self._look()
        if answered:
            for question in questions:
                self._tell(await self.teller.answer(question, self.now))
            for question in await self._look():
                self._tell(await self.teller.answer(question, self.now))
                questions.append(question)
        return questions

    def _tell(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.said.append(message)
            assert isinstance(message, Said | Tallied | NeverSaid)
            self.asker.take(message)

    async def _look(self) -> list[Asked]:
        self.now += 1
        questions = await self.asker.look(self.now)
        self.asked += questions
        return questions

    async def forget_lately(self) -> None:
        """The relay starts anew: what it sent lately is told by bucket only."""
        self.relay.lately = {}
        self.teller._moved = (set(), set())

    async def disturbed(self) -> int:
        """The relay starts anew, and it is told by bucket twice: in how many beats somebody asked, of eight."""
        await self.forget_lately()
        return len([questions for questions in [await self.beat() for _ in range(8)] if questions])

    async def heard(self, subject: str) -> int:
        """How far the hearer is."""
        async with self.hearer.pool.acquire() as connection:
            return int(await connection.fetchval("SELECT version FROM heard WHERE subject = $1", subject) or 0)


def _record(row: asyncpg.Record) -> Record:
    envelope = relay._envelope(Service.INTAKE, row, row["traceparent"])
    return Record(
        INTAKE.name,
        row["shard"],
        row["id"],
        envelope.subject.encode(),
        tuple(headers_of(envelope)),
        row["payload"].encode(),
    )


def forged(subject: str, version: int, *, body: bytes = b'{"components":') -> Record:
    """What nobody said: a record about a subject, with the headers of an event and a body that is none."""
    story = Story(subject, versions={Service.INTAKE: version - 1})
    valid = record_of(story.say(SupplementReceived()))
    return Record(valid.topic, valid.partition, 10**6 + version, valid.key, valid.headers, body)


@pytest.fixture
async def between(made: Databases) -> AsyncIterator[Between]:
    async with emptied(made, "intake") as speaker, emptied(made, "reporting") as hearer:
        carrying = Relay(Service.INTAKE, made.login["intake"], "nowhere:9", speaker.committed)
        carrying.held.update(range(PARTITIONS))
        carrying.lately = {}
        teller = Teller(Service.INTAKE, carrying, speaker, _EVERY, 3600.0)
        asker = Asker(Service.REPORTING, frozenset({Service.INTAKE}), hearer, lambda *_: True, _EVERY, 3600.0)
        yield Between(speaker, hearer, carrying, teller, asker)


def some(count: int) -> list[str]:
    return sorted(str(uuid_utils.uuid7()) for _ in range(count))


def last_of(subject: str, version: int) -> Callable[[str, int], bool]:
    return lambda of, which: (of, which) == (subject, version)


async def test_a_lost_last_event_is_found_by_name_and_only_it_is_published_again(between: Between) -> None:
    subjects = some(40)
    await between.speak(*subjects)
    await between.speak(*subjects)
    await between.carry(last_of(subjects[7], 2))
    between.sent.clear()

    questions = await between.beat()
    await between.carry()

    assert questions == [Asked(Service.REPORTING, Service.INTAKE, lacking=(Lack(subjects[7], 2, 2),))]
    assert between.sent == [(subjects[7], 2)]
    assert await between.heard(subjects[7]) == 2
    assert await between.beat() == []
    assert (between.asker.lacking, between.asker.healed, between.teller.published_again) == (0, 1, 1)


async def test_a_loss_of_long_ago_is_found_by_its_bucket_and_only_it_is_published_again(between: Between) -> None:
    subjects = some(300)
    await between.speak(*subjects)
    await between.speak(*subjects[:150])
    await between.carry(lambda subject, version: subject == subjects[200] or (subject, version) == (subjects[9], 2))
    await between.forget_lately()
    between.sent.clear()

    questions = await between.beat()
    await between.carry()

    places = {place.number for question in questions for place in question.places}
    assert places == {bucket_of(subjects[200]), bucket_of(subjects[9])}
    assert sorted(between.sent) == sorted([(subjects[9], 2), (subjects[200], 1)])
    assert await between.beat() == []


async def test_a_steady_river_is_asked_for_nothing_and_repeats_nothing(between: Between) -> None:
    subjects = some(200)
    for number in range(8):
        await between.speak(*subjects[number * 20 : number * 20 + 40])
        await between.carry()
        assert await between.beat() == []

    assert between.teller.published_again == 0
    assert len(between.sent) == 8 * 40
    assert between.asker.compared > 8 * BUCKETS // 2


async def test_what_is_not_committed_and_what_is_not_sent_is_not_said_yet(between: Between, made: Databases) -> None:
    subjects = some(60)
    await between.speak(*subjects)
    await between.carry()
    await between.forget_lately()
    await between.speak(*subjects[:20])  # committed, unsent
    writer = await connect(made.login["intake"], name="tests")
    under_way = writer.transaction()
    await under_way.start()
    locked = await journal.lock(writer, subjects[30:40])
    sayings = [Saying(subject, SupplementReceived(), MORNING) for subject in subjects[30:40]]
    await journal.announce(writer, Service.INTAKE, locked, sayings)

    assert await between.beat() == []
    assert await between.beat() == []
    await under_way.commit()
    await writer.close()
    assert await between.beat() == []
    await between.carry()
    assert await between.beat() == []
    assert between.teller.published_again == 0


async def test_what_the_hearer_heard_since_the_tally_is_no_difference(between: Between) -> None:
    subjects = some(30)
    await between.speak(*subjects)
    await between.carry()
    await between.forget_lately()
    between.now += _EVERY
    old = await between.teller.look(between.now)
    await between.speak(*subjects)
    await between.carry()

    between._tell(old)

    assert await between._look() == []
    assert await between.beat() == []
    assert await between.beat() == []


async def test_a_tally_that_is_read_late_while_its_buckets_move_is_no_difference(between: Between) -> None:
    """Beat after beat, something is heard between the speaker's count and the hearer's."""
    subjects = some(30)
    await between.speak(*subjects)
    await between.carry()
    await between.forget_lately()

    for _ in range(8):
        between.now += _EVERY
        told = await between.teller.look(between.now)
        await between.speak(*subjects[:20])
        await between.carry()
        between._tell(told)
        assert await between._look() == []


async def test_parked_dead_and_voided_versions_are_no_difference(between: Between) -> None:
    parked, dead, voided = some(3)
    await between.speak(parked, dead, voided)
    await between.carry()
    await between.speak(parked, dead, voided)
    await between.speak(parked, dead, voided)
    between.listener.waits = lambda heard: "unit:H41" if heard.subject == parked else None
    # What a hearer of an older release would meet: a body that does not fit.
    async with between.speaker.transaction() as tx:
        await tx.execute(_SPOIL, parked)
    await between.carry()
    async with between.hearer.pool.acquire() as connection:
        letters = {letter.subject: letter.id for letter in await dead_letters(connection, only_open=True)}
        assert {one.subject for one in await parked_records(connection)} == {parked, dead, voided}
    assert isinstance(await void(between.hearer, between.listener.hearer(), letters[voided], "o-1", "nonsense"), Done)

    by_name = await between.beat()
    await between.forget_lately()
    by_bucket = [*await between.beat(), *await between.beat(), *await between.beat()]

    assert [await between.heard(one) for one in (parked, dead, voided)] == [1, 1, 3]
    assert (by_name, by_bucket) == ([], [])


async def test_what_its_speaker_never_said_is_asked_for_once_and_no_difference_from_then_on(
    between: Between, caplog: pytest.LogCaptureFixture
) -> None:
    """Both are set aside: a subject of which nobody ever speaks, and a version that a dossier has not come to."""
    nobody, (known, *others) = "forged-17", some(30)
    await between.speak(known, *others)
    await between.carry()
    await between.hears([forged(nobody, 1), forged(known, 2)])
    between.sent.clear()

    asked_in = await between.disturbed()

    assert (asked_in, await between.disturbed()) == (1, 0)
    assert (between.asker.unhealed, between.teller.ahead, between.sent) == (0, 0, [])
    assert caplog.messages.count("never_said") == 1


async def test_what_was_forged_does_not_hide_that_the_version_it_had_taken_is_lost(between: Between) -> None:
    subject, *others = some(30)
    await between.speak(subject, *others)
    await between.carry()
    await between.hears([forged(subject, 2)])
    await between.disturbed()
    await between.speak(subject)
    await between.carry(last_of(subject, 2))
    between.sent.clear()

    await between.beat()
    await between.carry()

    assert between.sent == [(subject, 2)]
    assert await between.heard(subject) == 2


async def test_to_void_what_was_never_said_does_not_pass_its_version_over(between: Between) -> None:
    subject, *others = some(30)
    await between.speak(subject, *others)
    await between.carry()
    await between.hears([forged(subject, 2)])
    await between.disturbed()
    async with between.hearer.pool.acquire() as connection:
        (letter,) = await dead_letters(connection, only_open=True)

    done = await void(between.hearer, between.listener.hearer(), letter.id, "o-1", "forged")
    await between.speak(subject)
    await between.carry()

    assert letter.never_said
    assert isinstance(done, Done)
    assert (await between.heard(subject), await between.disturbed(), between.teller.ahead) == (2, 0, 0)


async def test_what_came_after_the_question_is_not_judged_by_its_answer(between: Between) -> None:
    """A version that was said, and parked, while the answer about a forged one of its number was under way."""
    subject, *others = some(30)
    await between.speak(subject, *others)
    await between.carry()
    await between.hears([forged(subject, 2)])
    await between.forget_lately()
    questions = [*await between.beat(answered=False), *await between.beat(answered=False)]
    answers = [one for question in questions for one in await between.teller.answer(question, between.now)]
    await between.speak(subject)
    between.listener.waits = lambda _: "unit:H41"
    await between.carry()
    between.sent.clear()

    between._tell(answers)
    await between._look()

    assert [one.heads for one in answers if isinstance(one, NeverSaid)] == [((subject, 1),)]
    assert await between.disturbed() == 0
    assert between.sent == []


async def test_a_gap_behind_which_versions_are_parked_is_filled_without_a_person(between: Between) -> None:
    (subject,) = some(1)
    for _ in range(4):
        await between.speak(subject)
    await between.carry(lambda _, version: version in {1, 3})
    await between.forget_lately()
    between.sent.clear()

    await between.beat()
    await between.carry()

    assert sorted(between.sent) == [(subject, 1), (subject, 3)]
    assert await between.heard(subject) == 4


async def test_what_one_has_too_many_and_another_too_few_does_not_compensate(between: Between) -> None:
    subjects = some(2000)
    one, other = next(
        (a, b) for place, a in enumerate(subjects) for b in subjects[place + 1 :] if bucket_of(a) == bucket_of(b)
    )
    await between.speak(one, other)
    await between.speak(one)
    await between.carry(last_of(one, 2))
    async with between.hearer.transaction() as tx:  # as after the restoration of a store
        await tx.execute("UPDATE heard SET version = 2 WHERE subject = $1", other)
    await between.forget_lately()
    between.sent.clear()

    await between.beat()
    await between.beat()
    await between.carry()

    assert between.sent == [(one, 2)]
    assert between.teller.ahead == 1


async def test_a_hearer_that_is_ahead_of_a_restored_speaker_is_an_alarm_and_nothing_is_guessed(
    between: Between, caplog: pytest.LogCaptureFixture
) -> None:
    subjects = some(20)
    await between.speak(*subjects)
    await between.speak(*subjects[:5])
    await between.carry()
    await between.forget_lately()
    async with between.speaker.transaction() as tx:  # an older copy: five versions and one subject are not there yet
        await tx.execute("DELETE FROM journal WHERE version = 2 OR aggregateid = $1", subjects[9])
        await tx.execute("UPDATE stream SET version = 1 WHERE version = 2")
        await tx.execute("DELETE FROM stream WHERE subject = $1", subjects[9])
    between.sent.clear()

    await between.beat()
    with caplog.at_level(logging.CRITICAL):
        await between.beat()
        await between.beat()
    await between.carry()

    assert between.teller.ahead == 6
    assert caplog.messages.count("hearer_ahead") == 1
    assert between.sent == []


async def test_what_stays_lacking_is_asked_for_ever_more_seldom_and_is_an_alarm(
    between: Between, caplog: pytest.LogCaptureFixture
) -> None:
    (subject,) = some(1)
    await between.speak(subject)
    await between.carry(last_of(subject, 1))

    asked = []
    for _ in range(60):
        asked.append(len(await between.beat()))
        await between.carry(last_of(subject, 1))  # lost again, every time

    assert sum(asked[:20]) > sum(asked[40:]) > 0
    assert sum(asked) < 15
    assert between.asker.unhealed >= 1
    assert caplog.messages.count("streams_unhealed") == 1


async def test_what_several_hearers_lack_is_published_once(between: Between) -> None:
    subjects = some(5)
    await between.speak(*subjects)
    await between.carry(lambda *_: True)
    between.sent.clear()
    (question,) = await between.beat(answered=False)

    for _ in range(3):
        await between.teller.answer(question, between.now)
    await between.carry()
    await between.teller.answer(question, between.now)
    await between.carry()

    assert sorted(between.sent) == [(subject, 1) for subject in subjects]


async def test_while_much_is_unsent_nothing_more_is_published(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = some(40)
    await between.speak(*subjects)
    await between.carry(last_of(subjects[3], 1))
    await between.speak(*subjects)
    monkeypatch.setattr("shared.bus.tally.telling._MOST_UNSENT", 39)

    await between.beat()
    assert between.teller.published_again == 0
    await between.carry()
    await between.beat()
    await between.beat()
    await between.carry()

    assert await between.heard(subjects[3]) == 2


async def test_a_shard_whose_records_went_away_is_told_whole_at_once(between: Between) -> None:
    subjects = some(100)
    await between.speak(*subjects)
    await between.carry(lambda *_: True)
    await between.forget_lately()
    await between.beat(answered=False)
    between.said.clear()

    between.asker.doubt([(Service.INTAKE, 3), (Service.ROUTING, 3)])
    (question,) = [one for one in await between._look() if one.shards]
    assert question == Asked(Service.REPORTING, Service.INTAKE, shards=(3,))
    await between.teller.answer(question, between.now)
    (told,) = await between.teller.look(between.now)

    assert isinstance(told, Tallied)
    assert [bucket.number % PARTITIONS for bucket in told.buckets] == [3] * (BUCKETS // PARTITIONS)
    assert sum(bucket.subjects for bucket in told.buckets) == sum(shard_of(subject) == 3 for subject in subjects)


async def test_a_relay_tells_of_the_shards_that_it_holds_and_of_no_others(between: Between) -> None:
    subjects = some(60)
    await between.speak(*subjects)
    await between.carry(lambda *_: True)
    await between.forget_lately()
    between.relay.held.intersection_update({0, 5})

    questions = await between.beat()
    await between.carry()

    assert {place.number % PARTITIONS for question in questions for place in question.places} <= {0, 5}
    assert {shard_of(subject) for subject, version in between.sent[60:]} <= {0, 5}


async def test_everything_is_told_in_ranges_one_after_the_other(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus.tally.telling._RANGE", 40)
    subjects = some(100)
    await between.speak(*subjects)
    await between.carry()
    await between.forget_lately()

    for _ in range(4):
        await between.beat()

    ranges = [(one.low, one.high) for one in between.said if isinstance(one, Tallied)]
    first, second, third = ("", subjects[40]), (subjects[40], subjects[80]), (subjects[80], None)
    assert ranges == [first, first, second, second, third, third, first]


@pytest.mark.parametrize("lately", [True, False])
async def test_a_lost_state_and_a_lost_erasure_are_found_and_published_again(between: Between, lately: bool) -> None:
    contacts = some(30)
    await between.speak(*contacts)
    async with between.speaker.transaction() as tx:
        await journal.put_snapshots(tx, CONTACT, [(one, 1, "{}") for one in contacts])
        await journal.put_snapshots(tx, CONTACT, [(contacts[4], 1, None)])
    await between.carry()
    if not lately:
        await between.forget_lately()
    here = {one: rank(1, is_erased=False) for one in contacts if one != contacts[9]}

    async def kept(_: Transaction, keys: Sequence[str]) -> dict[str, int]:
        return {key: here[key] for key in keys if key in here}

    asker = StateAsker(Service.NOTIFICATION, CONTACT, kept, between.hearer, lambda *_: True, _EVERY, 3600.0)
    between.now += _EVERY
    for one in await between.teller.look(between.now):
        if isinstance(one, Said) and one.topic == CONTACT.name:
            asker.take(one)
    (question,) = await asker.look(between.now)
    assert question.states == tuple(sorted([contacts[4], contacts[9]]))
    assert await between.teller.answer(question, between.now) == []
    assert await between.teller.answer(question, between.now) == []
    async with between.speaker.pool.acquire() as connection:
        again = await connection.fetch("SELECT aggregateid, topic FROM outbox ORDER BY aggregateid")
    assert [tuple(row) for row in again] == [(key, CONTACT.name) for key in question.states]

    here |= {contacts[4]: rank(1, is_erased=True), contacts[9]: rank(2, is_erased=False)}
    assert await asker.look(between.now + _EVERY) == []
    assert (asker.lacking, asker.healed) == (0, 2)


# --- when the database or the broker is away -------------------------------------------------------------------------


class Away:
    """Instead of a question to the database: nobody answers, the first time."""

    def __init__(self, question: Callable[..., Awaitable[Any]]) -> None:
        self.question = question
        self.refused = 0

    async def __call__(self, *arguments: Any) -> Any:
        if not self.refused:
            self.refused += 1
            raise ConnectionRefusedError
        return await self.question(*arguments)


@pytest.mark.parametrize(("module", "question"), [(said, "streams_about"), (held, "behind")], ids=["speaker", "hearer"])
async def test_a_last_event_is_found_by_name_although_a_database_was_away_when_it_was_told_of(
    between: Between, monkeypatch: pytest.MonkeyPatch, module: Any, question: str
) -> None:
    subjects = some(40)
    await between.speak(*subjects)
    await between.speak(*subjects)
    await between.carry(last_of(subjects[7], 2))
    monkeypatch.setattr(module, question, away := Away(getattr(module, question)))

    with pytest.raises(ConnectionRefusedError):
        await between.beat()
    questions = await between.beat()

    assert away.refused == 1
    assert questions[0] == Asked(Service.REPORTING, Service.INTAKE, lacking=(Lack(subjects[7], 2, 2),))


async def test_what_cannot_be_compared_for_another_reason_is_not_tried_for_ever(
    between: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    (subject,) = some(1)
    await between.speak(subject)
    await between.carry()

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as context:
        context.setattr(held, "behind", broken)
        with pytest.raises(ZeroDivisionError):
            await between.beat()

    assert await between._look() == []


async def test_a_doubt_that_comes_while_the_relay_holds_nothing_is_told_of_when_it_does(between: Between) -> None:
    subjects = some(40)
    await between.speak(*subjects)
    await between.carry(lambda *_: True)
    await between.forget_lately()
    shard = shard_of(subjects[0])
    await between.teller.look(between.now + _EVERY)
    held_before = set(between.relay.held)
    between.relay.held.clear()

    at_once = await between.teller.answer(Asked(Service.REPORTING, Service.INTAKE, shards=(shard,)), between.now)
    waiting = await between.teller.look(between.now + _EVERY + 1)
    between.relay.held.update(held_before)
    told = await between.teller.look(between.now + _EVERY + 2)

    assert (at_once, waiting) == ([], [])
    (tallied,) = told
    assert isinstance(tallied, Tallied)
    assert sum(bucket.subjects for bucket in tallied.buckets) == sum(shard_of(one) == shard for one in subjects)


class _NoBroker:
    async def send(self, *_: Any, **__: Any) -> Any:
        raise KafkaConnectionError


async def test_names_and_questions_that_could_not_be_sent_are_sent_by_the_next_session(between: Between) -> None:
    bus = Bus(between.listener.hearer(), between.hearer, "nowhere:9")
    control = Control(bus, None)
    name = Said(Service.INTAKE, ((some(1)[0], 1),))
    question = Asked(Service.REPORTING, Service.INTAKE, shards=(3,))
    between.now += _EVERY
    sums = [one for one in await between.teller.look(between.now) if isinstance(one, Tallied)]

    with pytest.raises(KafkaConnectionError):
        await control._send(_NoBroker(), [name, *sums, question])

    assert sums
    assert control._unsent == [name, question]
