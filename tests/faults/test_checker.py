"""The checker is put to the test: a small river in which all is well, and what it says when something is not."""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from typing import Any, Final, TypeAlias

import pytest
from msgspec.structs import replace as changed

from deploy.sample.calendars import vietnam_calendar
from shared.envelope import Heard, Record
from shared.events import DeadlineNear, NoticeSent, Scope
from shared.seal import Erasure, Keyring, Register, make_keys, new_data_key
from shared.topics import CONTACT, CONTROL
from tests.faults.checker import RESTORED, Evidence, examine
from tests.faults.checker.evidence import EXPORTED, HEARS, Contact, Delivered, Said
from tests.faults.checker.turns import working_time
from tests.faults.ground import FORGERS, MAILS_IN_FLIGHT, Tally, Undone
from tests.faults.history import Asked, Operation, Outcome
from tests.faults.load import CANARIES, NO_CONNECTION, Came, ClockSet
from tests.telling import COMMUNE, TOWN, Story, record_of

_GONE: Final = "0193a000-0000-7000-8000-000000000001"
_HERE: Final = "0193a000-0000-7000-8000-000000000002"
_EARLY: Final = datetime(2019, 5, 6, tzinfo=UTC).timestamp()
"""Before anything was said."""

_SOURCES: Final = ("intake", "routing", "notification")
_TRACE: Final = f"00-{'a' * 32}-{'b' * 16}-01"

_EVERY_STEP: Final = "every step of a dossier's life was taken, and each rung of its clocks fell due"

Tables: TypeAlias = dict[str, dict[str, list[Any]]]


@dataclass(frozen=True, slots=True)
class Keys:
    """What opens contacts, with the register and without, and the contacts of two dossiers, one of which is erased."""

    register: Register
    keyrings: dict[str, Keyring]
    bare: dict[str, Keyring]
    wrapped: dict[str, str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder / "keys")
    register = Register(folder / "register.jsonl")
    register.keep([Erasure(_GONE, str(uuid.uuid4()), 2, 2, datetime.now(UTC), "asked_by_citizen")])
    readers = ("intake", "notification")
    rings = {each: Keyring.load(folder / "keys", each, register) for each in readers}
    bare = {each: Keyring.load(folder / "keys", each) for each in readers}
    wrapped = {each: rings["intake"].wrap(new_data_key(each), readers) for each in (_GONE, _HERE)}
    return Keys(register, rings, bare, wrapped)


@pytest.fixture
def evidence(keys: Keys) -> Evidence:
    """One dossier: handed in, begun, handed over, told of once, near its deadline; and two commands that were refused.

    Of another one all that is left is that it was erased.
    """
    story = Story(_HERE)
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
    given_up = Asked("withdraw", "intake", "k5", story.subject, {})
    accepted = Operation(2, handed, Outcome.OK, 200, {"version": 3}, sent_line=3, told_line=4)
    tables = _tables(story.subject, said, keys.wrapped[_HERE])
    tables["intake"]["ever_sealed"] = [
        {"dossier": one, "wrapped_key": wrapped} for one, wrapped in keys.wrapped.items()
    ]
    delivered = {
        f"{source}.dossier": [record_of(one, offset) for offset, one in enumerate(_said_by(said, source))]
        for source in _SOURCES
    }
    return Evidence(
        operations=[
            Operation(1, submitted, Outcome.OK, 201, {"id": story.subject}, sent_line=1, told_line=2),
            accepted,
            replace(accepted, number=3, sent_line=5, told_line=6),
            Operation(4, refused, Outcome.FAIL, 409, {}, sent_line=7, told_line=8),
            Operation(5, given_up, Outcome.INFO, None, {}, sent_line=9, told_line=10),
            Operation(6, given_up, Outcome.FAIL, 409, {}, invoked=_EARLY, sent_line=11, told_line=12),
        ],
        came=Came(
            arrived=6,
            asked=6,
            met=Counter({"200": 3, "503": 1}),
            clocks_set=[ClockSet(story.subject, "dossier", 0, "near", 1, near.recorded - timedelta(seconds=1))],
        ),
        tally=Tally(),
        tables=tables,
        journals={
            **{source: [_said(one) for one in _said_by(said, source)] for source in _SOURCES},
            "reporting": [],
        },
        records={
            **delivered,
            CONTACT.name: [Record(CONTACT.name, 0, 0, _HERE.encode(), (), keys.wrapped[_HERE].encode())],
            CONTROL.name: [Record(CONTROL.name, 0, 0, None, (("ce_type", b"Said"),), b"{}")],
        },
        topics={
            f"{source}.dossier": [_delivered(one, offset) for offset, one in enumerate(_said_by(said, source))]
            for source in _SOURCES
        },
        mails=[a_mail()],
        logs={f"{each}.log": b'{"event": "service_started"}' for each in (*HEARS, "postgres", "kafka")},
        exported={path: [b"exported"] for path in EXPORTED.values()},
        statuses={service: a_status() for service in HEARS},
        contacts=[
            Contact(_GONE, 1, keys.wrapped[_GONE]),
            Contact(_GONE, 2, None),
            Contact(_HERE, 1, keys.wrapped[_HERE]),
        ],
        register=dict(keys.register.erasures()),
        keyrings=dict(keys.keyrings),
        keys=dict(keys.bare),
    )


def _said_by(said: list[Heard], source: str) -> list[Heard]:
    return [one for one in said if one.source.value == source]


def a_status(**figures: int) -> dict[str, Any]:
    return {"tally": {"compared": 1, "lacking": 0, "unhealed": 0, "ahead": 0, **figures}, "hearing": "yes"}


def a_mail(ident: str = "n", *, flagged: bool = False) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"], mail["To"] = f"<{ident}@lienthong.test>", f"k1@{CANARIES[-1]}"
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
    return Delivered(record.topic, record.partition, offset, record.body or b"", one)


def _tables(dossier: str, said: list[Heard], wrapped: str) -> Tables:
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
            "command": [{"id": "k1", "recorded": said[0].recorded}],
            "counter": [{"last": 1}],
            "citizen": [{"dossier": dossier, "wrapped_key": wrapped}],
            "erasure": [{"dossier": _GONE}],
            "snapshot": [
                {"topic": CONTACT.name, "aggregateid": _GONE, "version": 2, "payload": None},
                {
                    "topic": CONTACT.name,
                    "aggregateid": dossier,
                    "version": 1,
                    "payload": json.dumps({"wrapped_key": wrapped}),
                },
            ],
        },
        "routing": {
            "journey": [{"dossier": dossier, **place, "state": "moving", "entries": 3}],
            "command": [{"id": "k2", "recorded": said[0].recorded}],
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
            "contact": [
                {"dossier": _GONE, "version": 2, "erased": True, "wrapped_key": None, "sealed": None},
                {"dossier": dossier, "version": 1, "erased": False, "wrapped_key": wrapped, "sealed": "s"},
            ],
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
        own |= {table: [] for table in ("journal", "parked", "ever_parked", "dead_letter", "ever_dead", "outbox")}
        own["ever_pointed"] = [{"topic": None, "subject": dossier, "version": one.version} for one in mine]
        own["stream"] = [{"subject": dossier, "version": len(mine)}] if mine else []
        own["heard"] = [
            {"subject": dossier, "source": source, "version": last[source].version, "event_id": last[source].id}
            for source in HEARS[service]
        ]
    waited = _parked(1, "its cause intake 1 is missing", "cause:intake", subject=dossier)
    tables["reporting"]["ever_parked"].append(waited)
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


def _what_was_accepted_was_refused_later(one: Evidence) -> None:
    one.operations[2] = replace(one.operations[2], outcome=Outcome.FAIL, status=409, answer={})


def _what_nobody_was_told_was_refused_and_stands(one: Evidence) -> None:
    """Routing has lost its stored answers: who comes again after a crash finds the version that he saw himself pass."""
    one.operations[1] = replace(one.operations[1], outcome=Outcome.INFO, status=None, answer={})
    one.operations[2] = replace(one.operations[2], outcome=Outcome.FAIL, status=409, answer={})


def _intake_refused_what_it_had_taken(one: Evidence) -> None:
    """The last refusal of the withdrawal was asked for after what it denies had been recorded."""
    refusal = one.operations[-1]
    one.operations[-1] = replace(refusal, invoked=_withdrawn(one) + 1)


def _withdrawn(one: Evidence) -> float:
    """A withdrawal is in intake's journal; when it was recorded."""
    received = one.journals["intake"][0]
    one.journals["intake"].append(replace(received, version=2, type="WithdrawalRequested", actor="client-k5"))
    return received.recorded.timestamp()


def _a_refused_one_left_its_answer(one: Evidence) -> None:
    _intake_refused_what_it_had_taken(one)
    recorded = one.journals["intake"][-1].recorded
    one.tables["intake"]["command"].append({"id": "k5", "recorded": recorded})


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
    one.mails.extend(a_mail(flagged=True) for _ in range(MAILS_IN_FLIGHT + 1))


def _each_repeat_made_room_for_itself(one: Evidence) -> None:
    """Whoever sends again what he had sent writes an attempt down of which nobody knows what became."""
    _more_mails_were_repeated_than_were_in_flight(one)
    attempts = one.tables["notification"]["attempt"]
    attempts += [_unknown("lease_ran_out") for _ in range(MAILS_IN_FLIGHT + 1)]


def _unknown(reason: str) -> dict[str, Any]:
    return {"notice": "n", "outcome": "unknown", "reason": reason, "started": datetime(2019, 5, 6, tzinfo=UTC)}


def _nobody_was_told(one: Evidence) -> None:
    one.tables["notification"]["notice"].clear()


def _a_deadline_came_early(one: Evidence) -> None:
    one.clocks_set[0] = replace(one.clocks_set[0], fires_at=one.clocks_set[0].fires_at + timedelta(minutes=1))


def _a_deadline_was_forgotten(one: Evidence) -> None:
    one.clocks_set.append(replace(one.clocks_set[0], generation=2))


def _a_deadline_of_a_stage_was_forgotten(one: Evidence) -> None:
    """That of the dossier with the same name was said."""
    one.clocks_set.append(replace(one.clocks_set[0], scope="stage", run=2))


def _a_deadline_of_another_stage_was_said(one: Evidence) -> None:
    near = one.journals["routing"][-1]
    one.journals["routing"].append(replace(near, version=5, payload={**near.payload, "scope": "stage", "run": 1}))
    _a_deadline_of_a_stage_was_forgotten(one)


def _a_client_found_no_room(one: Evidence) -> None:
    one.came.dropped = 1


def _a_client_waited_for_others(one: Evidence) -> None:
    one.came.met[NO_CONNECTION] = 1


def _a_client_asked_for_nothing(one: Evidence) -> None:
    one.came.asked -= 1


def _a_client_was_ended(one: Evidence) -> None:
    one.came.errors.append("KeyError at doors.py:1: 'id'")


def _nobody_foresaw_a_command(one: Evidence) -> None:
    one.operations.append(replace(one.operations[-1], number=9, outcome=Outcome.INFO, status=500))


def _nobody_foresaw_a_look(one: Evidence) -> None:
    one.came.met["500"] = 1


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
    one.tables["intake"]["ever_parked"].append(_parked(3, "gap: version 2 is missing"))


def _something_was_parked_behind_nothing_that_waits(one: Evidence) -> None:
    one.tables["intake"]["ever_parked"] += [_parked(3, "gap: one before it waits"), _parked(4, "unit:x", "unit:x")]


def _a_gap_was_parked_beside_what_was_forged(one: Evidence) -> None:
    one.tally.done["forged"] = 1
    _a_gap_was_parked(one)


def _a_process_ended_by_itself(one: Evidence) -> None:
    one.tally.ended_by_itself.append("intake ended by itself (exit code 1) before SIGTERM: KeyError")


def _a_process_did_not_end_when_it_was_told_to(one: Evidence) -> None:
    one.tally.had_to_be_killed.append("intake did not end within 15 s of SIGTERM")


def _parked(version: int, reason: str, waits_for: str | None = None, *, subject: str = "s") -> dict[str, Any]:
    where = {"topic": "routing.dossier", "partition": 0, "offset": 1000 + version, "body": b"{}"}
    what = {"subject": subject, "source": "routing", "version": version}
    return {**where, **what, "reason": reason, "waits_for": waits_for}


def _a_cause_came_and_woke_nobody(one: Evidence) -> None:
    one.tally.done["bus.control lost"] = 1
    one.tables["reporting"]["ever_parked"].append(_parked(1, "its cause intake 7 is missing", "cause:intake"))


def _a_letter_lies_dead(one: Evidence) -> None:
    row = {"topic": "t", "partition": 0, "offset": 0, "subject": "s", "reason": "error"}
    one.tables["routing"]["dead_letter"].append(row)


def _a_trace_is_torn(one: Evidence) -> None:
    one.journals["routing"][0] = replace(one.journals["routing"][0], trace=_TRACE.replace("a", "c"))


def _an_effect_has_no_cause(one: Evidence) -> None:
    one.journals["intake"][0] = replace(one.journals["intake"][0], version=2)


def _an_effect_came_first(one: Evidence) -> None:
    """Not by as much as the clock was wrong for a while."""
    one.tally.stepped = timedelta(days=400)
    first = one.journals["intake"][0]
    one.journals["intake"][0] = replace(first, recorded=first.recorded + timedelta(days=399))


def _something_was_published_again(one: Evidence) -> None:
    one.tables["routing"]["ever_pointed"] *= 2


def _what_nobody_lost_was_published_again(one: Evidence) -> None:
    one.tally.done["topic lost"] = 1
    pointed = one.tables["routing"]["ever_pointed"]
    one.tally.lost["routing.dossier"] = {_row(one, "routing", "ever_pointed", 0)["subject"]: {1}}
    pointed += [pointed[0], pointed[1]]


def _a_lost_last_event_stayed_away(one: Evidence) -> None:
    one.tally.done["last event lost"] = 1
    one.tally.last_lost.append(("routing", _row(one, "routing", "ever_pointed", 0)["subject"], 4))


def _nobody_compares(one: Evidence) -> None:
    one.statuses["reporting"] = a_status(compared=0)


def _a_bucket_with_something_forged_stays_unhealed(one: Evidence) -> None:
    one.tally.forged["intake.dossier", 0, 7] = "truncated"
    one.statuses["reporting"] = a_status(unhealed=1)


def _a_hearer_is_ahead(one: Evidence) -> None:
    one.statuses["intake"] = a_status(ahead=1)


def _a_contact_is_older(one: Evidence) -> None:
    one.tables["intake"]["snapshot"][1] = {**_row(one, "intake", "snapshot", 1), "version": 2}


def _the_register_forgot(one: Evidence) -> None:
    one.keyrings.update(one.keys)


def _a_key_was_left_at_the_desk(one: Evidence) -> None:
    one.tables["intake"]["citizen"].append(_row(one, "intake", "ever_sealed", 0))


def _a_key_was_left_where_nobody_looks(one: Evidence) -> None:
    """In a copy that no erasure knows of, as part of something else."""
    wrapped = _row(one, "intake", "ever_sealed", 0)["wrapped_key"]
    one.tables["notification"]["letter"] = [{"id": "l", "contact": json.dumps({"key": wrapped}).encode()}]


def _the_keys_are_no_keys(one: Evidence) -> None:
    one.keys.clear()


def _the_citizen_is_back(one: Evidence) -> None:
    one.tables["intake"]["citizen"].append({"dossier": _GONE, "wrapped_key": None})


def _no_tombstone_lies_there(one: Evidence) -> None:
    del one.contacts[1]


def _intake_forgot_an_erasure(one: Evidence) -> None:
    one.tables["intake"]["dossier"].append({**_row(one, "intake", "dossier", 0), "id": _GONE})
    one.tables["intake"]["erasure"].clear()


def _a_letter_was_begun_after_the_erasure(one: Evidence) -> None:
    subject = _row(one, "notification", "notice", 0)["dossier"]
    asked = Asked("erase", "intake", "k9", subject, {"reason": "asked_by_citizen", "seen": 1})
    one.operations.append(Operation(9, asked, Outcome.OK, 200, {}, returned=100.0))
    started = datetime.fromtimestamp(101, UTC)
    attempt = {"notice": "n", "outcome": "accepted", "reason": None, "started": started}
    one.tables["notification"]["attempt"].append(attempt)


def _a_log_tells_who_it_was(one: Evidence) -> None:
    one.logs["postgres.log"] = json.dumps({"detail": base64.b64encode(CANARIES[0].encode()).decode()}).encode()


def _a_contact_travels_unsealed(one: Evidence) -> None:
    one.records[CONTACT.name].append(Record(CONTACT.name, 0, 1, None, (("to", CANARIES[-1].encode()),), b""))


def _a_key_on_the_topic_of_tallies_tells_a_name(one: Evidence) -> None:
    one.records[CONTROL.name].append(Record(CONTROL.name, 0, 1, CANARIES[0].encode(), (), None))


def _what_was_parked_for_a_while_tells_a_name(one: Evidence) -> None:
    row = {**_parked(1, "its cause intake 1 is missing", "cause:intake", subject=_HERE), "body": CANARIES[0].encode()}
    one.tables["reporting"]["ever_parked"].append(row)


def _a_span_tells_a_number(one: Evidence) -> None:
    one.exported["/v1/traces"].append(CANARIES[1].encode())


def _kafka_has_no_log(one: Evidence) -> None:
    del one.logs["kafka.log"]


def _a_mail_went_elsewhere(one: Evidence) -> None:
    one.mails[0].replace_header("To", "somebody@example.vn")


def _row(one: Evidence, service: str, table: str, place: int) -> dict[str, Any]:
    row: Any = one.tables[service][table][place]
    return dict(row)


def test_a_river_in_which_all_is_well_breaks_nothing(evidence: Evidence) -> None:
    findings = examine(evidence).findings.items()
    broken = {sentence: one.broken for sentence, one in findings if one is not None and one.broken}

    # One dossier is no load: nobody sent anything back, and much else was not done either.
    assert broken.keys() == {_EVERY_STEP}, broken


def test_what_was_parked_behind_one_that_waits_for_its_cause_is_no_gap(evidence: Evidence) -> None:
    """Where one batch had both, the second is said to be behind one that waits; where two had them, a version lacks."""
    evidence.tables["intake"]["ever_parked"] += [
        _parked(2, "unit:x is not known here", "unit:x"),
        _parked(3, "gap: one before it waits"),
        _parked(3, "gap: version 2 is missing"),
    ]

    found = examine(evidence).findings["nothing was ever parked for a gap within one source"]
    assert found is not None
    assert found.broken == []


def test_what_was_parked_of_a_subject_that_forgers_made_up_is_no_gap(evidence: Evidence) -> None:
    evidence.tally.done["forged"] = 1
    forged = _parked(3, "gap: version 1 is missing", subject=f"{FORGERS}0a")
    evidence.tables["intake"]["ever_parked"].append(forged)

    found = examine(evidence).findings["nothing was ever parked for a gap within one source"]
    assert found is not None
    assert found.broken == []


@pytest.mark.parametrize(
    ("goes_wrong", "says"),
    [
        (_a_store_lost_it, "what was accepted is once in every store that hears it"),
        (_a_command_had_two_effects, "an accepted command has its effect once, a refused one none"),
        (_what_was_refused_was_done, "an accepted command has its effect once, a refused one none"),
        (_what_nobody_was_told_was_refused_and_stands, "an accepted command has its effect once, a refused one none"),
        (_what_nobody_was_told_was_refused_and_stands, "a refused command left no stored answer, an accepted one did"),
        (_intake_refused_what_it_had_taken, "an accepted command has its effect once, a refused one none"),
        (_a_refused_one_left_its_answer, "a refused command left no stored answer, an accepted one did"),
        (_what_was_accepted_was_refused_later, "the same command under the same id got the same answer"),
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
        (
            _each_repeat_made_room_for_itself,
            "one mail for each notice; a second one is flagged, bounded by kills × mails in flight",
        ),
        (_nobody_was_told, "one notice for each event and channel that a citizen is told of"),
        (_a_deadline_came_early, "every deadline of a dossier that fell due was said, and none early"),
        (_a_deadline_was_forgotten, "every deadline of a dossier that fell due was said, and none early"),
        (_a_deadline_of_a_stage_was_forgotten, "every deadline of a stage that fell due was said, and none early"),
        (_a_deadline_of_another_stage_was_said, "every deadline of a stage that fell due was said, and none early"),
        (_a_client_found_no_room, "no arrival was dropped"),
        (_a_client_waited_for_others, "no arrival was dropped"),
        (_a_client_asked_for_nothing, "every client who came asked for something"),
        (_a_client_was_ended, "no client was ended by an error"),
        (_nobody_foresaw_a_command, "nobody was answered 500, which nobody foresaw"),
        (_nobody_foresaw_a_look, "nobody was answered 500, which nobody foresaw"),
        (_a_record_was_not_carried, "all that was said lies on its topic"),
        (_a_relay_overtook_itself, "on a topic a version first comes after the one before it"),
        (_somebody_else_spoke, "no version was said twice (forks)"),
        (_a_gap_was_parked, "nothing was ever parked for a gap within one source"),
        (_a_gap_was_parked_beside_what_was_forged, "nothing was ever parked for a gap within one source"),
        (
            _something_was_parked_behind_nothing_that_waits,
            "nothing was ever parked for a gap within one source",
        ),
        (_a_process_ended_by_itself, "no process ended by itself"),
        (_a_process_did_not_end_when_it_was_told_to, "whoever was told to end ended"),
        (_a_letter_lies_dead, "nothing is unsent, parked or dead when all is quiet"),
        (_a_cause_came_and_woke_nobody, "what waited for its cause, said by another, was heard when that was"),
        (_a_trace_is_torn, "what was said because of something is in its trace"),
        (_an_effect_has_no_cause, "what was said because of something was said after it"),
        (_an_effect_came_first, "what was said because of something was said after it"),
        (_something_was_published_again, "on a river that loses nothing, nothing is published again"),
        (_what_nobody_lost_was_published_again, "only what a hearer may have lost is published again"),
        (_a_lost_last_event_stayed_away, "a last event that was lost alone is published again"),
        (_nobody_compares, "every hearer has compared, and lacks nothing"),
        (_a_bucket_with_something_forged_stays_unhealed, "every hearer has compared, and lacks nothing"),
        (_a_hearer_is_ahead, "no hearer has heard what was never said"),
        (_a_contact_is_older, "notification has the contact that intake sealed last, or knows that it was erased"),
        (_the_register_forgot, "what a backup still has of an erased subject's keys opens for no program of ours"),
        (_the_register_forgot, "what of them still lies on the topic of contacts opens for no program of ours"),
        (
            _a_key_was_left_at_the_desk,
            "of an erased subject no key is left in a store that opens anything, register or not",
        ),
        (
            _a_key_was_left_where_nobody_looks,
            "of an erased subject no key is left in a store that opens anything, register or not",
        ),
        (_the_keys_are_no_keys, "of an erased subject no key is left in a store that opens anything, register or not"),
        (_the_citizen_is_back, "no store has anything of an erased citizen"),
        (_no_tombstone_lies_there, "of an erased contact the highest version is a tombstone"),
        (_intake_forgot_an_erasure, "every erasure that was accepted is in the register and in the store"),
        (_a_letter_was_begun_after_the_erasure, "no mail is begun once an erasure was answered"),
        (_a_log_tells_who_it_was, "nothing personal is in a log"),
        (_kafka_has_no_log, "nothing personal is in a log"),
        (_a_contact_travels_unsealed, f"nothing personal lies on {CONTACT.name}"),
        (_a_key_on_the_topic_of_tallies_tells_a_name, f"nothing personal lies on {CONTROL.name}"),
        (
            _what_was_parked_for_a_while_tells_a_name,
            "nothing personal was ever in a parked record or a dead letter",
        ),
        (_a_span_tells_a_number, "nothing personal is in a span that was exported"),
        (_a_mail_went_elsewhere, "every mail goes to a citizen of the load"),
    ],
)
def test_whatever_goes_wrong_is_found(evidence: Evidence, goes_wrong: Callable[[Evidence], None], says: str) -> None:
    goes_wrong(evidence)

    finding = examine(evidence).findings[says]
    assert finding is not None
    assert finding.broken


def test_a_try_that_its_client_gave_up_may_be_taken_after_it_was_refused(evidence: Evidence) -> None:
    """At intake's door it may fit by then, and what was refused before that was not done yet."""
    _withdrawn(evidence)

    finding = examine(evidence).findings["an accepted command has its effect once, a refused one none"]
    assert finding is not None
    assert not finding.broken


# --- when time is turned ----------------------------------------------------------------------------------------------

_VIETNAM: Final = timezone(timedelta(hours=7))


def _on(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2018, month, day, hour, minute, second, tzinfo=_VIETNAM)


@pytest.fixture
def turned(evidence: Evidence) -> Evidence:
    """A dossier that is left alone from before Tết on: what came in the river's sleep was said when it woke."""
    begun = evidence.journals["routing"][0]
    stage, whole = _on(2, 12, 9), _on(3, 2, 17)
    started = {"run": 1, "budget_minutes": 600, "stage_due": stage.isoformat()}
    journal = [_turned(begun, 1, "StageStarted", _on(2, 9, 9), {**started, "due": whole.isoformat()})]
    for number, (scope, what, recorded, due) in enumerate(
        [
            ("stage", "DeadlinePassed", _on(2, 13, 23, 59, 55), stage),
            ("dossier", "DeadlineNear", _on(3, 1, 16, 30, 1), whole),
            ("dossier", "DeadlineReached", _on(3, 2, 17, 0, 1), whole),
            ("dossier", "DeadlinePassed", _on(3, 3, 0, 0, 1), whole),
        ],
        2,
    ):
        payload = {"scope": scope, "run": 1, "generation": 1, "due": due.isoformat()}
        journal.append(_turned(begun, number, what, recorded, payload))
    evidence.journals["routing"][:] = journal
    evidence.came.clocks_set.clear()
    evidence.tally.done["turns of time"] = 8
    evidence.tally.lived += [
        (_on(2, 9, 9), _on(2, 9, 9, 1)),
        (_on(2, 13, 23, 59, 54), _on(2, 14, 0, 0, 30)),
        (_on(3, 1, 16, 29, 55), _on(3, 1, 16, 30, 30)),
        (_on(3, 2, 16, 59, 55), _on(3, 2, 17, 0, 30)),
        (_on(3, 2, 23, 59, 55), _on(3, 3, 0, 0, 30)),
    ]
    row = {**_row(evidence, "routing", "journey", 0), "due": whole, "generation": 1}
    evidence.tables["routing"]["journey"] = [row]
    return evidence


def _turned(begun: Said, version: int, what: str, recorded: datetime, payload: dict[str, Any]) -> Said:
    return replace(begun, version=version, type=what, recorded=recorded, payload={"unit": TOWN, **payload})


def _it_was_never_said(type_: str, scope: str) -> Callable[[Evidence], None]:
    def goes_wrong(one: Evidence) -> None:
        journal = one.journals["routing"]
        journal[:] = [said for said in journal if (said.type, said.payload.get("scope")) != (type_, scope)]

    return goes_wrong


def _it_was_said(early: timedelta, number: int) -> Callable[[Evidence], None]:
    def goes_wrong(one: Evidence) -> None:
        said = one.journals["routing"][number]
        one.journals["routing"][number] = replace(said, recorded=said.recorded - early)

    return goes_wrong


_EACH_RUNG: Final = "each rung of both clocks that came while the river was awake was said"
_NOT_EARLY: Final = "nothing was said to be near, due or late before it was"
_A_MOMENT: Final = timedelta(seconds=3)


def test_turns_of_time_in_which_all_is_well_break_nothing(turned: Evidence) -> None:
    findings = examine(turned).findings

    for sentence, exercised in ((_EACH_RUNG, 4), (_NOT_EARLY, 4)):
        finding = findings[sentence]
        assert finding is not None
        assert (finding.broken, finding.exercised) == ([], exercised)


def test_a_clock_that_somebody_set_anew_before_the_river_slept_has_nothing_to_say(turned: Evidence) -> None:
    begun = turned.journals["routing"][0]
    turned.journals["routing"][1:] = [_turned(begun, 2, "ResultReady", _on(2, 9, 9, 0, 30), {})]

    finding = examine(turned).findings[_EACH_RUNG]
    assert finding is not None
    assert not finding.broken


def test_mails_that_a_provider_has_not_answered_are_sent_again(evidence: Evidence) -> None:
    evidence.tables["notification"]["attempt"] += [_unknown("timed_out"), _unknown("lease_ran_out")]
    evidence.mails.append(a_mail(flagged=True))

    sentence = "one mail for each notice; a second one is flagged, bounded by kills × mails in flight"
    finding = examine(evidence).findings[sentence]
    assert finding is not None
    assert not finding.broken
    assert finding.told[0].startswith("1 mails were repeated, 1 could be")


def test_one_officer_alone_is_no_contender(evidence: Evidence) -> None:
    del evidence.operations[3:]

    verdict = examine(evidence)

    assert "not exercised: of two officers who saw the same version one succeeded" in verdict.faults


def _nothing_was_parked_for_a_cause(one: Evidence) -> None:
    one.tally.done["bus.control lost"] = 1
    for tables in one.tables.values():
        tables["ever_parked"].clear()


def _no_contact_lies_there(one: Evidence) -> None:
    one.records[CONTACT.name].clear()


def _no_metric_was_exported(one: Evidence) -> None:
    one.exported["/v1/metrics"].clear()


def _nobody_has_a_log(one: Evidence) -> None:
    one.logs.clear()


@pytest.mark.parametrize(
    ("is_empty", "sentence"),
    [
        (_nothing_was_parked_for_a_cause, "what waited for its cause, said by another, was heard when that was"),
        (_no_contact_lies_there, f"nothing personal lies on {CONTACT.name}"),
        (_no_metric_was_exported, "nothing personal is in a metric that was exported"),
        (_nobody_has_a_log, "nothing personal is in a log"),
    ],
)
def test_where_there_is_nothing_nothing_was_looked_into(
    evidence: Evidence, is_empty: Callable[[Evidence], None], sentence: str
) -> None:
    is_empty(evidence)

    assert f"not exercised: {sentence}" in examine(evidence).faults


def test_a_witness_who_has_forgotten_with_his_store_leaves_what_lies_on_the_topic(evidence: Evidence) -> None:
    sentence = "what a backup still has of an erased subject's keys opens for no program of ours"
    evidence.tables["intake"]["ever_sealed"].clear()

    assert f"not exercised: {sentence}" not in examine(evidence).faults

    _the_register_forgot(evidence)
    finding = examine(evidence).findings[sentence]
    assert finding is not None
    assert finding.broken


@pytest.mark.parametrize(
    ("goes_wrong", "says"),
    [
        (_it_was_never_said("DeadlinePassed", "stage"), _EACH_RUNG),
        (_it_was_never_said("DeadlineNear", "dossier"), _EACH_RUNG),
        (_it_was_never_said("DeadlineReached", "dossier"), _EACH_RUNG),
        (_it_was_never_said("DeadlinePassed", "dossier"), _EACH_RUNG),
        (_it_was_said(_A_MOMENT, 2), _NOT_EARLY),
        (_it_was_said(_A_MOMENT, 3), _NOT_EARLY),
        (_it_was_said(_A_MOMENT, 4), _NOT_EARLY),
    ],
)
def test_whatever_goes_wrong_when_time_is_turned_is_found(
    turned: Evidence, goes_wrong: Callable[[Evidence], None], says: str
) -> None:
    goes_wrong(turned)

    finding = examine(turned).findings[says]
    assert finding is not None
    assert finding.broken


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (_on(2, 9, 17), _on(3, 2, 17)),
        (_on(4, 27, 17), _on(5, 15, 17)),
        (_on(2, 9, 9), _on(3, 1, 16, 30)),
        (_on(4, 20, 12), _on(4, 27, 8)),
        (_on(8, 30, 11, 30), _on(9, 4, 14)),
        (_on(12, 28, 16), _on(12, 31, 23, 59)),
    ],
)
def test_the_checker_reckons_as_the_calendar_does(start: datetime, end: datetime) -> None:
    assert working_time(start, end) == vietnam_calendar().working_time(start, end)


# --- after a restore ------------------------------------------------------------------------------------------------


def test_what_was_recorded_while_the_clock_was_wrong_may_lie_ahead_by_as_much(evidence: Evidence) -> None:
    first = evidence.journals["intake"][0]
    evidence.journals["intake"][0] = replace(first, recorded=first.recorded + timedelta(days=400))
    evidence.tally.stepped = timedelta(days=400)

    finding = examine(evidence).findings["what was said because of something was said after it"]
    assert finding is not None
    assert not finding.broken


@pytest.fixture
def restored(evidence: Evidence) -> Evidence:
    """Routing's store was replaced by a copy without its last event; it said another, and its hearers took notice."""
    last, record = evidence.journals["routing"][-1], evidence.topics["routing.dossier"][-1]
    assert record.heard is not None
    other = str(uuid.uuid4())
    evidence.tally.done[RESTORED] = 1
    evidence.tally.undone["routing"] = {last.id: Undone(last.subject, last.version, last.type, last.actor, True)}
    evidence.journals["routing"][-1] = replace(last, id=other)
    evidence.topics["routing.dossier"].append(replace(record, offset=9, heard=changed(record.heard, id=other)))
    where = {"topic": record.topic, "partition": record.partition, "offset": 9}
    letter = {
        **where,
        "subject": last.subject,
        "source": "routing",
        "version": last.version,
        "reason": "fork: another id",
    }
    for hearer in ("intake", "notification", "reporting"):
        evidence.tables[hearer]["dead_letter"].append(letter)
        evidence.logs[f"{hearer}.log"] = json.dumps({"event": "fork_found", "forks": 1}).encode()
    return evidence


def _a_fork_was_passed_over(one: Evidence) -> None:
    one.tables["intake"]["dead_letter"].clear()


def _nobody_was_alarmed(one: Evidence) -> None:
    one.logs["intake.log"] = b""


def _more_was_lost_than_the_copy_lacked(one: Evidence) -> None:
    del one.journals["routing"][1:3]


def _the_hearers_are_ahead(one: Evidence) -> None:
    one.topics["routing.dossier"].pop()
    one.tables["routing"]["stream"] = [{**_row(one, "routing", "stream", 0), "version": 3}]
    for service in ("intake", "notification", "reporting"):
        one.tables[service]["dead_letter"].clear()


def _something_else_died(one: Evidence) -> None:
    letter = _row(one, "intake", "dead_letter", 0)
    one.tables["intake"]["dead_letter"].append({**letter, "offset": 10, "reason": "error: KeyError"})


def test_a_restore_of_which_everybody_is_told_breaks_nothing(restored: Evidence) -> None:
    findings = examine(restored).findings
    broken = {sentence: one.broken for sentence, one in findings.items() if one is not None and one.broken}

    assert broken == {}
    assert findings["nothing is unsent, parked or dead when all is quiet"] is None


@pytest.mark.parametrize(
    ("goes_wrong", "says"),
    [
        (
            _a_fork_was_passed_over,
            "what a restored speaker says anew is set aside as a fork where it stands beside what was heard",
        ),
        (_nobody_was_alarmed, "every fork is alarmed"),
        (
            _more_was_lost_than_the_copy_lacked,
            "a restore takes back what was accepted after its copy, whole commands, and nothing else",
        ),
        (
            _the_hearers_are_ahead,
            "of every stream that a restore has cut there is a fork, or its hearers are ahead, and that is alarmed",
        ),
        (_something_else_died, "nothing but forks is set aside, and hearing goes on"),
    ],
)
def test_whatever_goes_wrong_after_a_restore_is_found(
    restored: Evidence, goes_wrong: Callable[[Evidence], None], says: str
) -> None:
    goes_wrong(restored)

    finding = examine(restored).findings[says]
    assert finding is not None
    assert finding.broken
