"""The checker is put to the test: a small river in which all is well, and what it says when something is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from typing import Any, Final, TypeAlias

import pytest
from msgspec.structs import replace as changed

from shared.envelope import Heard
from shared.events import DeadlineNear, NoticeSent, Scope
from tests.faults.checker import Evidence, examine
from tests.faults.checker.evidence import HEARS, Delivered, Said
from tests.faults.ground import Tally
from tests.faults.history import Asked, Operation, Outcome
from tests.faults.load import ClockSet
from tests.telling import COMMUNE, TOWN, Story, record_of

_SOURCES: Final = ("intake", "routing", "notification")
_TRACE: Final = f"00-{'a' * 32}-{'b' * 16}-01"

Tables: TypeAlias = dict[str, dict[str, list[Any]]]


def a_river() -> Evidence:
    """One dossier: handed in, begun, handed over, told of once, near its deadline; and a command that was refused."""
    story = Story()
    received = story.received()
    begun = story.starts(because=received)
    story.hands_over("town_desk", run=2)
    near = story.say(DeadlineNear(scope=Scope.DOSSIER, run=0, generation=1, unit=TOWN, due=story.now))
    notice = NoticeSent(notice="n", template="received", channel="email", attempts=1)
    story.say(notice, because=received)
    said = [changed(one, traceparent=_TRACE) for one in story.said]
    submitted = Asked("submit", "intake", "k1", None, {"unit": COMMUNE})
    handed = Asked("hand_over", "routing", "k2", story.subject, {"seen": begun.version, "action": {}})
    refused = Asked("resume", "routing", "k3", story.subject, {"seen": begun.version, "action": {}})
    accepted = Operation(2, handed, Outcome.OK, 200, {"version": 3})
    return Evidence(
        operations=[
            Operation(1, submitted, Outcome.OK, 201, {"id": story.subject}),
            accepted,
            replace(accepted, number=3),
            Operation(4, refused, Outcome.FAIL, 409, {}),
        ],
        arrived=4,
        dropped=0,
        clocks_set=[ClockSet(story.subject, "near", 1, near.recorded - timedelta(seconds=1))],
        tally=Tally(),
        tables=_tables(story.subject, said),
        journals={
            **{source: [_said(one) for one in said if one.source.value == source] for source in _SOURCES},
            "reporting": [],
        },
        topics={
            f"{source}.dossier": [
                _delivered(one, offset) for offset, one in enumerate(one for one in said if one.source.value == source)
            ]
            for source in _SOURCES
        },
        mails=[a_mail()],
        logs={},
        exported=[],
    )


def a_mail(ident: str = "n", *, flagged: bool = False) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"], mail["To"] = f"<{ident}@lienthong.test>", "binh@example.vn"
    if flagged:
        mail["X-Lienthong-Maybe-Repeated"] = "yes"
    return mail


def _said(one: Heard) -> Said:
    """What the journal has: who commanded, where somebody did."""
    commands = {("intake", 1): "client-k1", ("routing", 2): "client-k2", ("routing", 3): "client-k2"}
    return Said(
        one.source.value,
        one.subject,
        one.version,
        one.id,
        one.type,
        one.time,
        one.recorded,
        (one.cause.source.value, one.cause.version) if one.cause else None,
        commands.get((one.source.value, one.version)),
        one.traceparent,
        json.loads(record_of(one).body or b"{}"),
    )


def _delivered(one: Heard, offset: int) -> Delivered:
    record = record_of(one, offset)
    return Delivered(record.topic, record.partition, offset, record.body or b"", b"", one)


def _tables(dossier: str, said: list[Heard]) -> Tables:
    place = {"unit": TOWN, "stage": "town_desk", "run": 2}
    counts = {"notices_sent": 1, "notices_failed": 0, "supplements": 0}
    now = {"dossier": dossier, **place, **counts, "status": 4, "standing": "near", "dossier_late": False}
    last = {one.source.value: one for one in said}
    tables: Tables = {
        "intake": {
            "dossier": [
                {
                    "id": dossier,
                    "code": "X-1",
                    "at_unit": TOWN,
                    "at_stage": "town_desk",
                    "run": 2,
                    "status": 4,
                    **counts,
                }
            ],
            "command": [{"id": "k1"}],
            "counter": [{"last": 1}],
        },
        "routing": {
            "journey": [{"dossier": dossier, **place, "state": "moving", "entries": 3}],
            "command": [{"id": "k2"}],
            "ledger": [
                {"dossier": dossier, "number": number, "kind": kind}
                for number, kind in enumerate(("started", "ended", "started"), 1)
            ],
        },
        "notification": {
            "dossier": [{"id": dossier}],
            "notice": [
                {
                    "id": "n",
                    "number": 1,
                    "dossier": dossier,
                    "source": "intake",
                    "version": 1,
                    "channel": "email",
                    "state": "sent",
                    "reason": None,
                }
            ],
            "attempt": [],
        },
        "reporting": {
            "dossier_now": [{**now, "receiving_unit": COMMUNE, "ended": None, "origin": None}],
            "timeline": [
                {"dossier": dossier, "source": one.source.value, "version": one.version, "type": one.type}
                for one in said
            ],
            "cell": [{**place, "status": 4, "standing": "near", "dossier_late": False, "count": 1}],
        },
    }
    for service, own in tables.items():
        mine = [one for one in said if one.source.value == service]
        own |= {table: [] for table in ("journal", "parked", "ever_parked", "dead_letter", "outbox")}
        own["stream"] = [{"subject": dossier, "version": len(mine)}] if mine else []
        own["heard"] = [
            {"subject": dossier, "source": source, "version": last[source].version, "event_id": last[source].id}
            for source in HEARS[service]
        ]
    return tables


# --- what goes wrong -------------------------------------------------------------------------------------------------


def _a_store_lost_it(one: Evidence) -> None:
    one.tables["notification"]["dossier"].clear()


def _a_command_had_two_effects(one: Evidence) -> None:
    started = one.journals["routing"][-2]
    one.journals["routing"].append(replace(started, version=5))


def _what_was_refused_was_done(one: Evidence) -> None:
    one.journals["routing"][-1] = replace(one.journals["routing"][-1], actor="client-k3")


def _the_answer_changed(one: Evidence) -> None:
    one.operations[2] = replace(one.operations[2], answer={"version": 4})


def _two_had_the_same_version(one: Evidence) -> None:
    other = replace(one.operations[1].asked, key="k4")
    one.operations.append(replace(one.operations[1], asked=other))


def _a_number_is_missing(one: Evidence) -> None:
    one.tables["intake"]["counter"] = [{"last": 2}]


def _a_version_is_missing(one: Evidence) -> None:
    del one.journals["routing"][1]


def _a_hearer_stands_still(one: Evidence) -> None:
    one.tables["reporting"]["heard"][1] = {**_row(one, "reporting", "heard", 1), "version": 3}


def _an_event_is_in_no_timeline(one: Evidence) -> None:
    one.tables["reporting"]["timeline"].pop()


def _a_notice_counted_twice(one: Evidence) -> None:
    one.tables["intake"]["dossier"][0] = {**_row(one, "intake", "dossier", 0), "notices_sent": 2}


def _two_places_at_once(one: Evidence) -> None:
    one.tables["reporting"]["dossier_now"][0] = {**_row(one, "reporting", "dossier_now", 0), "stage": "desk"}


def _it_was_handed_over_by_another(one: Evidence) -> None:
    handed = one.journals["routing"][1]
    one.journals["routing"][1] = replace(handed, payload={**handed.payload, "giver": TOWN})


def _a_mail_came_twice(one: Evidence) -> None:
    one.mails.append(a_mail())


def _a_mail_never_came(one: Evidence) -> None:
    one.mails.clear()


def _more_mails_were_repeated_than_were_in_flight(one: Evidence) -> None:
    one.tally.done["notification ended"] = 1
    one.mails.extend(a_mail(flagged=True) for _ in range(9))


def _nobody_was_told(one: Evidence) -> None:
    one.tables["notification"]["notice"].clear()


def _a_deadline_came_early(one: Evidence) -> None:
    one.clocks_set[0] = replace(one.clocks_set[0], fires_at=one.clocks_set[0].fires_at + timedelta(minutes=1))


def _a_deadline_was_forgotten(one: Evidence) -> None:
    one.clocks_set.append(replace(one.clocks_set[0], generation=2))


def _a_record_was_not_carried(one: Evidence) -> None:
    one.topics["routing.dossier"].pop()


def _a_relay_overtook_itself(one: Evidence) -> None:
    one.topics["routing.dossier"].reverse()


def _somebody_else_spoke(one: Evidence) -> None:
    record = one.topics["intake.dossier"][0]
    assert record.heard is not None
    other = "00000000-0000-0000-0000-000000000000"
    one.topics["intake.dossier"].append(replace(record, offset=9, heard=changed(record.heard, id=other)))


def _a_gap_was_parked(one: Evidence) -> None:
    row = {"source": "routing", "reason": "gap: version 2 is missing", "waits_for": None}
    one.tables["intake"]["ever_parked"].append(row)


def _a_letter_lies_dead(one: Evidence) -> None:
    row = {"topic": "t", "partition": 0, "offset": 0, "subject": "s", "reason": "error"}
    one.tables["routing"]["dead_letter"].append(row)


def _a_trace_is_torn(one: Evidence) -> None:
    one.journals["routing"][0] = replace(one.journals["routing"][0], trace=_TRACE.replace("a", "c"))


def _an_effect_has_no_cause(one: Evidence) -> None:
    one.journals["intake"][0] = replace(one.journals["intake"][0], version=2)


def _row(one: Evidence, service: str, table: str, place: int) -> dict[str, Any]:
    row: Any = one.tables[service][table][place]
    return dict(row)


def test_a_river_in_which_all_is_well_breaks_nothing() -> None:
    findings = examine(a_river()).findings.items()
    broken = {sentence: one.broken for sentence, one in findings if one is not None and one.broken}

    # One dossier is no load: nobody sent anything back, and much else was not done either.
    assert broken.keys() == {"every step of a dossier's life was taken"}, broken


@pytest.mark.parametrize(
    ("goes_wrong", "says"),
    [
        (_a_store_lost_it, "what was accepted is once in every store that hears it"),
        (_a_command_had_two_effects, "an accepted command has its effect once, a refused one none"),
        (_what_was_refused_was_done, "an accepted command has its effect once, a refused one none"),
        (_the_answer_changed, "the same command under the same id got the same answer"),
        (_two_had_the_same_version, "of two officers who saw the same version one succeeded"),
        (_a_number_is_missing, "printed numbers are 1..n at each desk on each day"),
        (_a_version_is_missing, "a journal counts 1..n for every subject, as its stream says"),
        (_a_hearer_stands_still, "every hearer has heard the last version, of the speaker's own event"),
        (_an_event_is_in_no_timeline, "reporting's timeline has everything that was said of a dossier, once"),
        (_a_notice_counted_twice, "what is counted for a dossier is what was said of it"),
        (_two_places_at_once, "intake, routing and reporting agree on where a dossier is"),
        (_it_was_handed_over_by_another, "only legal transitions, one holder at any version"),
        (
            _a_mail_came_twice,
            "one mail for each notice; a second one is flagged, bounded by kills × mails in flight",
        ),
        (
            _a_mail_never_came,
            "one mail for each notice; a second one is flagged, bounded by kills × mails in flight",
        ),
        (
            _more_mails_were_repeated_than_were_in_flight,
            "one mail for each notice; a second one is flagged, bounded by kills × mails in flight",
        ),
        (_nobody_was_told, "one notice for each event and channel that a citizen is told of"),
        (_a_deadline_came_early, "every deadline that fell due was said, and none early"),
        (_a_deadline_was_forgotten, "every deadline that fell due was said, and none early"),
        (_a_record_was_not_carried, "all that was said lies on its topic"),
        (_a_relay_overtook_itself, "on a topic a version first comes after the one before it"),
        (_somebody_else_spoke, "no version was said twice (forks)"),
        (_a_gap_was_parked, "nothing was ever parked for a gap within one source"),
        (_a_letter_lies_dead, "nothing is unsent, parked or dead when all is quiet"),
        (_a_trace_is_torn, "what was said because of something is in its trace"),
        (_an_effect_has_no_cause, "what was said because of something was said after it"),
    ],
)
def test_whatever_goes_wrong_is_found(goes_wrong: Callable[[Evidence], None], says: str) -> None:
    evidence = a_river()

    goes_wrong(evidence)

    finding = examine(evidence).findings[says]
    assert finding is not None
    assert finding.broken
