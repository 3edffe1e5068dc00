"""The fates of records, written once: pure, from what was heard before and what came now.

| what | fate |
|---|---|
| version at or below the last | a repeat: dropped (same version, other id: a fork, a dead letter that holds nothing) |
| last + 1 | heard; a type that the table passes over advances the version and does nothing else |
| higher | parked behind the gap |
| said because of an event that was not heard yet | parked until its cause is heard |
| unknown type or enum value | parked, tried again at start and by the sweep |
| body undecodable | a dead letter that holds its version |
| headers unreadable, empty, oversized | a dead letter of no stream |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from shared.envelope import Envelope, Heard, Malformed, Record, UnknownWord, Unreadable
from shared.events import Event
from shared.topics import Service

Stream: TypeAlias = tuple[str, Service]

_RIVER: Final = {service: place for place, service in enumerate(Service)}


class LastHeard(Struct, frozen=True):
    """How far a stream was heard, and how much of it is parked."""

    version: int = 0
    event_id: str | None = None
    parked: int = 0


NOTHING_HEARD: Final = LastHeard()


class Candidate(Struct, frozen=True):
    """A decoded record on its way to a fate; ``parked_id`` when it lay parked before, and then why and for what.

    ``envelope`` is there whatever became of the body, and ``stream`` is its subject and source.
    """

    record: Record
    decoded: Heard | UnknownWord | Malformed
    envelope: Envelope
    stream: Stream
    parked_id: int | None = None
    parked_for: tuple[str, str | None] | None = None


def candidate_of(
    record: Record,
    decoded: Heard | UnknownWord | Malformed,
    parked_id: int | None = None,
    parked_for: tuple[str, str | None] | None = None,
) -> Candidate:
    """A record that could be decoded at least as far as its envelope."""
    envelope = decoded if isinstance(decoded, Heard) else decoded.envelope
    return Candidate(record, decoded, envelope, (envelope.subject, envelope.source), parked_id, parked_for)


@dataclass(frozen=True, slots=True)
class ToPark:
    """A candidate that waits; ``waits_for`` None means: for the version before it."""

    candidate: Candidate
    reason: str
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class ToBury:
    """A record that becomes a dead letter. Without ``envelope`` nothing could be read of it."""

    record: Record
    reason: str
    envelope: Envelope | None = None
    parked_id: int | None = None


@dataclass(slots=True)
class Fates:
    """What becomes of a batch: `hear` in this order, then park, bury, and forget what was parked and is settled."""

    hear: list[Candidate] = field(default_factory=list)
    taken: list[Candidate] = field(default_factory=list)  # all that advanced a version: heard or passed over
    park: list[ToPark] = field(default_factory=list)
    bury: list[ToBury] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    last: dict[Stream, LastHeard] = field(default_factory=dict)
    repeats: int = 0
    forks: int = 0
    passed_over: int = 0


def sort_out(
    candidates: Iterable[Candidate],
    last: Mapping[Stream, LastHeard],
    hears: Collection[type[Event]],
    sources: Collection[Service],
) -> Fates:
    """The fates of readable records. ``sources``: whom this hearer listens to, so whose causes it can wait for.

    Streams of one subject advance together, so that a cause that arrives in the same batch goes before its effect.
    """
    fates = Fates(last=dict(last))
    of_subject: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        of_subject.setdefault(candidate.envelope.subject, []).append(candidate)
    for of_one in of_subject.values():
        if len(of_one) == 1:
            # Most subjects have one event in a batch: nothing to put in order, nothing that could move something else.
            _alone(fates, of_one[0], hears, sources)
            continue
        streams: dict[Stream, list[Candidate]] = {}
        for candidate in of_one:
            streams.setdefault(candidate.stream, []).append(candidate)
        for queue in streams.values():
            if len(queue) > 1:
                # What lay parked comes before its own repeat: if a hearer lets it wait again, it must not be the parked
                # one that was settled.
                queue.sort(key=lambda one: (one.envelope.version, one.parked_id is None))
        # In the river's order: nearer the source first. What names no cause (an officer's command about a dossier that
        # was received in the same batch) then meets what it builds on.
        _advance(fates, dict(sorted(streams.items(), key=_along_the_river)), hears, sources)
    return fates


def _alone(fates: Fates, candidate: Candidate, hears: Collection[type[Event]], sources: Collection[Service]) -> None:
    stream = candidate.stream
    if _take(fates, stream, [candidate], hears, sources):
        fates.park.append(_to_park(fates, stream, candidate, first=True))


def _along_the_river(item: tuple[Stream, list[Candidate]]) -> int:
    return _RIVER[item[0][1]]


def _advance(
    fates: Fates,
    streams: dict[Stream, list[Candidate]],
    hears: Collection[type[Event]],
    sources: Collection[Service],
) -> None:
    waiting = dict(streams)
    moved = True
    while moved and waiting:
        moved = False
        for stream in list(waiting):
            rest = _take(fates, stream, waiting[stream], hears, sources)
            moved = moved or len(rest) < len(waiting[stream])
            if rest:
                waiting[stream] = rest
            else:
                del waiting[stream]
    for stream, queue in waiting.items():
        for place, candidate in enumerate(queue):
            fates.park.append(_to_park(fates, stream, candidate, first=place == 0))


def _take(
    fates: Fates, stream: Stream, queue: list[Candidate], hears: Collection[type[Event]], sources: Collection[Service]
) -> list[Candidate]:
    """Hear as much of a stream's queue as goes now; the rest comes back."""
    for place, candidate in enumerate(queue):
        last = fates.last.get(stream, NOTHING_HEARD)
        envelope = candidate.envelope
        if envelope.version <= last.version:
            _repeat(fates, candidate, last)
        elif envelope.version > last.version + 1 or isinstance(candidate.decoded, UnknownWord):
            return queue[place:]
        elif isinstance(candidate.decoded, Malformed):
            fates.bury.append(
                ToBury(candidate.record, candidate.decoded.reason, envelope, parked_id=candidate.parked_id)
            )
            _settle(fates, candidate)
            return queue[place + 1 :]
        elif _cause_is_missing(fates, candidate.decoded, sources):
            return queue[place:]
        else:
            fates.last[stream] = LastHeard(envelope.version, envelope.id, last.parked)
            _settle(fates, candidate)
            fates.taken.append(candidate)
            if type(candidate.decoded.event) in hears:
                fates.hear.append(candidate)
            else:
                fates.passed_over += 1
    return []


def _cause_is_missing(fates: Fates, heard: Heard, sources: Collection[Service]) -> bool:
    cause = heard.cause
    if cause is None or cause.source not in sources:
        return False
    return fates.last.get((heard.subject, cause.source), NOTHING_HEARD).version < cause.version


def _repeat(fates: Fates, candidate: Candidate, last: LastHeard) -> None:
    envelope = candidate.envelope
    _settle(fates, candidate)
    if envelope.version == last.version and last.event_id is not None and envelope.id != last.event_id:
        fates.forks += 1
        fates.bury.append(
            ToBury(candidate.record, "fork: this version was heard with another id", envelope, candidate.parked_id)
        )
    else:
        fates.repeats += 1


def _settle(fates: Fates, candidate: Candidate) -> None:
    if candidate.parked_id is not None:
        fates.settled.append(candidate.parked_id)


def _to_park(fates: Fates, stream: Stream, candidate: Candidate, *, first: bool) -> ToPark:
    envelope, decoded = candidate.envelope, candidate.decoded
    last = fates.last.get(stream, NOTHING_HEARD).version
    if envelope.version > last + 1 or not first:
        return ToPark(candidate, f"gap: version {last + 1} is missing")
    if isinstance(decoded, UnknownWord):
        return ToPark(candidate, f"unknown {decoded.reason}", "release")
    assert envelope.cause is not None
    return ToPark(
        candidate,
        f"its cause {envelope.cause.source.value} {envelope.cause.version} is missing",
        f"cause:{envelope.cause.source.value}",
    )


def unreadable(record: Record, reason: Unreadable) -> ToBury:
    """A record of which not even the stream can be told."""
    return ToBury(record, reason.reason)


def hold_back(
    fates: Fates, waiting: Mapping[Stream, Mapping[int, str | None]], before: Mapping[Stream, LastHeard]
) -> None:
    """Take back what a hearer could not decide yet: its stream stands at the version before it.

    ``waiting``: for each stream, version -> what it waits for (None: for the one before it).
    """
    lowest = {stream: min(versions) for stream, versions in waiting.items()}
    kept: list[Candidate] = []
    returned: set[int] = set()
    for candidate in fates.taken:
        held = lowest.get(candidate.stream)
        version = candidate.envelope.version
        if held is None or version < held:
            kept.append(candidate)
            continue
        if candidate.parked_id is not None:
            returned.add(candidate.parked_id)
        waits_for = waiting[candidate.stream].get(version)
        reason = "gap: one before it waits" if waits_for is None else f"{waits_for} is not known here"
        fates.park.append(ToPark(candidate, reason, waits_for))
    ids = {(candidate.stream, candidate.envelope.version): candidate.envelope.id for candidate in kept}
    for stream, version in lowest.items():
        known = before.get(stream, NOTHING_HEARD)
        ident = known.event_id if known.version == version - 1 else ids.get((stream, version - 1))
        fates.last[stream] = replace(known, version=version - 1, event_id=ident)
    fates.taken = kept
    stay = {(candidate.stream, candidate.envelope.version) for candidate in kept}
    fates.hear = [one for one in fates.hear if (one.stream, one.envelope.version) in stay]
    fates.settled = [ident for ident in fates.settled if ident not in returned]
