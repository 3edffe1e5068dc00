"""A service's ear without a service behind it: real tables, real journal, rules that a test may bend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from shared import journal
from shared.bus import Decided, Decision, Hearer, Hears, Say, Waiting, WaitsFor, decide_all
from shared.bus.hearing import HearStates
from shared.envelope import Heard
from shared.events import DossierReceived, Event, ProcedurePublished, StageStarted, SupplementReceived
from shared.journal import Stream
from shared.store import Transaction
from shared.topics import Service, Topic

_LOAD = "SELECT subject, entries FROM seat WHERE subject = ANY($1::text[])"
_SAVE = """
INSERT INTO seat (subject, entries) SELECT * FROM unnest($1::text[], $2::int[])
ON CONFLICT (subject) DO UPDATE SET entries = excluded.entries
"""


def _never(_: Heard) -> None:
    return None


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Listener:
    """Hears what intake and routing say. ``fails`` and ``waits`` are asked for every event; ``answers`` says something
    because of every dossier that came in, ``feeding`` is called in the middle of every COPY."""

    service: Service = Service.REPORTING
    types: frozenset[type[Event]] = frozenset({DossierReceived, SupplementReceived, StageStarted, ProcedurePublished})
    fails: Callable[[Heard], Exception | None] = _never
    waits: Callable[[Heard], str | None] = _never
    answers: bool = False
    opens: dict[type[Event], int] = field(default_factory=dict)
    feeding: Callable[[], None] = _nothing
    states: dict[Topic, HearStates] = field(default_factory=dict)

    def hearer(self) -> Hearer:
        """For the bus."""
        return Hearer(self.service, self.types, self._hear, self.states, self.opens)

    async def _hear(self, tx: Transaction, locked: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
        subjects = sorted({one.subject for one in events})
        seats = {row["subject"]: row["entries"] for row in await tx.fetch(_LOAD, subjects)}
        hears: Hears[int, None] = dict.fromkeys(self.types, self._decide)
        decided = decide_all(seats, events, hears, None)
        changed = sorted(decided.changed.items())
        await tx.execute(_SAVE, [subject for subject, _ in changed], [entries for _, entries in changed])
        waiting = {(one.heard.subject, one.heard.source, one.heard.version) for one in decided.waiting}
        await tx.copy_records_to_table(
            "told",
            records=self._fed(one for one in events if (one.subject, one.source, one.version) not in waiting),
            columns=("subject", "source", "version", "type"),
        )
        await journal.announce(tx, self.service, locked, decided.sayings)
        return decided.waiting

    def _fed(self, events: Iterable[Heard]) -> Iterator[tuple[str, str, int, str]]:
        """Asked for row by row, while PostgreSQL waits for what is copied."""
        self.feeding()
        for one in events:
            yield one.subject, one.source.value, one.version, one.type

    def _decide(self, state: int | None, heard: Heard, _: None) -> Decision[int]:
        error = self.fails(heard)
        if error is not None:
            raise error
        key = self.waits(heard)
        if key is not None:
            return WaitsFor(key)
        say = Say(StageStarted(stage="desk", run=1, unit="H41"))
        answer = (say,) if self.answers and isinstance(heard.event, DossierReceived) else ()
        return Decided((state or 0) + 1, answer)


async def told(tx: Transaction, subject: str | None = None) -> list[tuple[str, int]]:
    """(source, version) of what was told of a subject (None: of all), in the order in which it was told."""
    rows = await tx.fetch(
        "SELECT source, version FROM told WHERE $1::text IS NULL OR subject = $1 ORDER BY id", subject
    )
    return [(row["source"], row["version"]) for row in rows]
