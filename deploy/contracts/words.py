"""What the code cannot say of a field: what it means, in which unit it counts, and a value to show.

A field has one meaning under one name, whatever event carries it; where it has not, the key names the event too. What
the field itself says (``Field(description=…)``) follows; a field that says enough, with ``examples=[…]``, needs no word
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Word:
    """``example`` differs from the field's default, so that a record which shows it carries it."""

    meaning: str
    example: JsonValue
    unit: str = ""


_TERM: Final[JsonValue] = {"value": 10, "unit": "working_day"}
_OFFICE: Final[JsonValue] = [["07:30", "11:30"], ["13:30", "17:00"]]

WORDS: Final[Mapping[str, Word]] = {
    "amount_vnd": Word("what is to be paid", 150_000, "Vietnamese đồng"),
    "attempts": Word("how often it was tried, this time included", 2, "tries"),
    "attributes": Word("what else was recorded", {"case": "case-10011"}),
    "back": Word("whether it went to the stage before, to be put right", True),
    "budget_minutes": Word("the stage's share of the term", 960, "working minutes"),
    "calendar": Word("code of the working calendar by which the clock runs", "office"),
    "calendar_version": Word("which version of that calendar", 3),
    "channel": Word("how it was handed in", "desk"),
    "components": Word("the papers, by their codes in the catalogue", ["to_khai", "giay_khai_sinh"]),
    "contact_version": Word("which contact to wait for", 1),
    "credited_seconds": Word("how long the clock stood", 25_200, "working seconds"),
    "data": Word(
        "the whole calendar: hours of the week (1 is Monday), days off, days worked instead",
        {
            "code": "office",
            "version": 3,
            "zone": "Asia/Ho_Chi_Minh",
            "week": {"1": _OFFICE, "2": _OFFICE, "3": _OFFICE, "4": _OFFICE, "5": _OFFICE, "6": [], "7": []},
            "seasons": [],
            "days_off": ["2019-09-02"],
            "worked_days": {},
            "known_from": "2019-01-01",
            "known_until": "2019-12-31",
        },
    ),
    "due": Word("when the dossier falls due, pauses credited", "2019-05-20T10:00:00Z"),
    "generation": Word("counts each new start of the clock: a new stage, a pause ended, a new calendar", 2),
    "given": Word("when the contact was given", "2019-05-06T01:15:00Z"),
    "giver": Word("the unit that gave it away", "000.01.99.H41"),
    "giver_officer": Word("who gave it", "mau-can-bo-0101"),
    "late": Word("whether it was late by the date", True),
    "level": Word("at which level it lies", "town"),
    "maybe_repeated": Word("whether the provider may have got it twice, a process having died in between", True),
    "name": Word("its name for people", "UBND phường Mai Hùng (mẫu)"),
    "notice": Word("id of the notice", "01901234-89ab-7cde-8f01-23456789abcd"),
    "nth": Word("how many supplements were asked for by now", 1),
    "officer": Word("who has it", "mau-can-bo-0102"),
    "parent": Word("the unit above", "000.00.99.H41"),
    "procedure": Word("which procedure", "1.001776"),
    "procedure_version": Word("which version of the catalogue's entry", 4),
    "promise": Word("the instant printed on the receipt; it never changes", "2019-05-20T10:00:00Z"),
    "reason": Word("why, as a code; its words are for the screens", "papers_missing"),
    "receiver": Word("the unit that got it", "000.00.99.H41"),
    "receiver_officer": Word("who got it", "mau-can-bo-0001"),
    "role": Word("who sits at the stage", "specialist"),
    "run": Word("which entry into a stage of this dossier, counted from 1", 2),
    "scope": Word("whose deadline: the stage's, or the dossier's as a whole", "stage"),
    "sealed": Word(
        "the contact as JWE under the dossier's data key", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..iv.text.tag"
    ),
    "sector": Word("field of administration", "Bảo trợ xã hội"),
    "stage": Word("name of the stage in its route", "town_specialist"),
    "stage_due": Word("when the stage falls due, pauses credited", "2019-05-10T10:00:00Z"),
    "template": Word("what was told, by the name of its text", "supplement_requested"),
    "term": Word("how long the law gives", _TERM),
    "terms": Word("terms by channel", {"online": {"value": 8, "unit": "working_day"}}),
    "unit": Word("which unit", "000.00.99.H41"),
    "unit_version": Word("which version of the unit", 2),
    "valid_from": Word("first day on which it is so", "2013-06-03"),
    "valid_to": Word("last day on which it is so; absent: it goes on", "2025-06-30"),
    "version": Word("counts this dossier's contacts; the highest wins", 1),
    "way": Word("how the citizen got it", "post"),
    "wrapped_key": Word("the data key, wrapped for the services that may read", "eyJyZWNpcGllbnRzIjpbXX0"),
    "CalendarPublished.code": Word("code of the calendar", "office"),
    "DeadlineNear.due": Word("when it falls due", "2019-05-10T10:00:00Z"),
    "DeadlineNear.unit": Word("who has to act", "000.00.99.H41"),
    "DeadlinePassed.due": Word("when it fell due", "2019-05-10T10:00:00Z"),
    "DeadlinePassed.unit": Word("whose it was on the day it went late", "000.00.99.H41"),
    "DeadlineReached.due": Word("when it fell due", "2019-05-10T10:00:00Z"),
    "DeadlineReached.unit": Word("who has to act", "000.00.99.H41"),
    "DossierResumed.beside": Word(
        "the other branches that are open: their clocks run again too",
        [{"run": 3, "stage_due": "2019-05-13T10:00:00Z"}],
    ),
    "DossierReceived.code": Word("what stands on the receipt", "000.01.99.H41-190506-0001"),
    "DossierReceived.unit": Word("where it was handed in", "000.01.99.H41"),
    "FeeRequested.reason": Word("what it is for, as a code", "registration_fee"),
    "HandedOver.beside": Word(
        "of a branch: the runs that are still open; the receiver's stage waits for the last of them", [3]
    ),
    "HandedOver.reason": Word("why it went back, as a code", "calculation_wrong"),
    "NoticeFailed.channel": Word("by which way it was sent", "email"),
    "NoticeFailed.reason": Word("why it was given up, as a code", "mailbox_unknown"),
    "NoticeSent.channel": Word("by which way it was sent", "email"),
    "ProcedurePublished.code": Word("which procedure", "1.001776"),
    "ProcedurePublished.name": Word("its name for people", "Trợ cấp xã hội hằng tháng"),
    "ResultHandedOver.way": Word("how the citizen got the result", "post"),
    "ResultReady.unit": Word("at whose desk it lies", "000.01.99.H41"),
    "DossierAdopted.origin": Word("the record that it came from", "replay 2018"),
    "ProcedurePublished.route": Word(
        "code of the route that it takes; absent: the route of its level", "social_allowance"
    ),
    "RoutePublished.code": Word("which route", "social_allowance"),
    "RoutePublished.level": Word("of the procedures that take it when they name none", "town"),
    "RoutePublished.length": Word(
        "of all its stages together; 0: they share whatever term there is", 5600, "160ths of a calendar day"
    ),
    "StageStarted.beside": Word("of a branch: the runs that are open together with this one; any other is over", [3]),
    "StageStarted.due": Word("when the whole dossier falls due", "2019-05-20T10:00:00Z"),
    "StageStarted.unit": Word("which unit has the stage", "000.00.99.H41"),
    "UnitPublished.code": Word("which unit", "000.01.99.H41"),
    "UnitPublished.level": Word("at which level it lies; replay: where recorded history happened", "commune"),
}

SUBJECTS: Final[Mapping[str, str]] = {
    "CalendarPublished": "calendar:office",
    "ProcedurePublished": "procedure:1.001776",
    "RoutePublished": "route:social_allowance",
    "UnitPublished": "unit:000.01.99.H41",
}
"""What a stream is about where it is not a dossier."""

BEGINNINGS: Final = frozenset({"DossierReceived", *SUBJECTS})
"""Events with which a stream begins: their version is 1."""

A_DOSSIER: Final = "016a8a7a-1000-7abc-8def-0123456789ab"
"""Stream id of the dossier that the examples tell of."""
