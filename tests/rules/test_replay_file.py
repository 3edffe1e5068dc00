"""Reading and planning an event log: times exact, groups and hand-overs as recorded, one sentence for a bad file."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest

from deploy.replay.doors import retry_after
from deploy.replay.plan import ORIGIN, UNIT, Plan, plan, replay_calendar
from deploy.replay.xes import BadLogError, Log, read_log
from shared.calendar import WorkingCalendar
from tests.logs import RECEIPT_LOG, needs_the_receipt_log

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = "2011-10-11T13:42:22.688+02:00"
SECOND = "2011-11-14T08:00:00.001+01:00"


@pytest.fixture(scope="module")
def calendar() -> WorkingCalendar:
    return replay_calendar()


def an_event(activity: str = "T02 Check", at: str | None = FIRST, **more: str) -> str:
    """An event; ``resource`` and ``group`` as keywords."""
    texts = {"concept:name": activity, **{f"org:{key}": text for key, text in more.items()}}
    date = "" if at is None else f'<date key="time:timestamp" value="{at}"/>'
    return f"<event>{_strings(texts)}{date}</event>"


def a_case(*events: str, ident: str = "case-1", dates: dict[str, str] | None = None, **texts: str) -> str:
    """A case, with a deadline and a channel unless told otherwise."""
    given = {"deadline": "2011-12-06T01:06:40.000+01:00"} if dates is None else dates
    written = "".join(f'<date key="{key}" value="{value}"/>' for key, value in given.items())
    described = _strings({"concept:name": ident, **({"channel": "Internet"} | texts)})
    return f"<trace>{described}{written}\n{''.join(events or (an_event(),))}\n</trace>\n"


def _strings(texts: dict[str, str]) -> str:
    return "".join(f'<string key="{key}" value={quoteattr(value)}/>' for key, value in texts.items() if value)


def a_log(*cases: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8" ?>\n<log xmlns="http://www.xes-standard.org/">\n'
    scope = '<global scope="event"><string key="concept:name" value="UNKNOWN"/></global>\n'
    nested = '<float key="meta" value="1.0"><float key="deeper" value="2.0"/></float>\n'
    return f"{head}{scope}{nested}{''.join(cases)}</log>".encode()


def packed(folder: Path, content: bytes) -> Path:
    path = folder / "log.xes.gz"
    path.write_bytes(gzip.compress(content))
    return path


def planned(folder: Path, calendar: WorkingCalendar, *cases: str, limit: int | None = None) -> Plan:
    return plan(read_log(packed(folder, a_log(*cases))), calendar, NOW, limit)


def test_times_keep_their_offset_and_every_digit(tmp_path: Path) -> None:
    log = read_log(packed(tmp_path, a_log(a_case(an_event(at=FIRST), an_event(at=SECOND)))))

    assert [event.at.isoformat(timespec="milliseconds") for event in log.cases[0].events] == [FIRST, SECOND]


def test_a_step_is_at_its_group_and_without_one_at_the_replay_unit(tmp_path: Path, calendar: WorkingCalendar) -> None:
    events = an_event(group="Group 3"), an_event(group="EMPTY"), an_event()

    made = planned(tmp_path, calendar, a_case(*events))

    assert [step.action["unit"] for step in made.cases[0].steps] == ["Group 3", UNIT, UNIT]


def test_a_changed_resource_is_a_hand_over_and_the_first_one_is_not(tmp_path: Path, calendar: WorkingCalendar) -> None:
    officers = "Resource01", "Resource01", "Resource02", "Resource01"

    made = planned(tmp_path, calendar, a_case(*(an_event(resource=one) for one in officers)))

    assert made.hand_overs == 2
    assert tuple(step.action["officer"] for step in made.cases[0].steps) == officers


def test_a_dossier_is_received_with_its_first_event_and_keeps_its_dates_as_written(
    tmp_path: Path, calendar: WorkingCalendar
) -> None:
    dates = {
        "startdate": "2011-10-12T00:00:00.020+02:00",
        "enddate": "2011-10-13T00:00:00.020+02:00",
        "enddate_planned": "2011-12-06T01:06:40.010+01:00",
        "deadline": "2011-12-06T01:06:40.000+01:00",
    }

    made = planned(tmp_path, calendar, a_case(an_event(at=FIRST), dates=dates, department="General", remark="private"))

    record = made.cases[0].body["record"]
    assert datetime.fromisoformat(record["received"]) == datetime.fromisoformat(FIRST)
    assert record["origin"] == ORIGIN
    assert record["attributes"] == {"case": "case-1", "channel": "Internet", "department": "General", **dates}


@pytest.mark.parametrize(
    ("deadline", "promise"),
    [
        ("2011-12-06T01:06:40.000+01:00", "2011-12-06T17:00:00+01:00"),
        ("2011-08-09T23:59:59.999+02:00", "2011-08-09T17:00:00+02:00"),
        ("2011-12-05T23:30:00.000Z", "2011-12-06T17:00:00+01:00"),
        ("2011-12-25T00:00:00.000+01:00", "2011-12-25T17:00:00+01:00"),
    ],
    ids=["an hour past midnight", "in summer", "in another zone", "on a holiday"],
)
def test_the_deadline_s_date_in_its_town_is_the_promise_until_the_close_of_the_office(
    tmp_path: Path, calendar: WorkingCalendar, deadline: str, promise: str
) -> None:
    made = planned(tmp_path, calendar, a_case(dates={"deadline": deadline}))

    assert made.cases[0].body["record"]["promise"] == promise


def test_a_case_without_deadline_or_channel_is_counted_and_its_record_does_not_pretend_to_have_them(
    tmp_path: Path, calendar: WorkingCalendar
) -> None:
    made = planned(tmp_path, calendar, a_case(dates={}, channel=""))

    assert (made.without_deadline, made.without_channel) == (1, 1)
    assert made.cases[0].body["record"]["attributes"] == {"case": "case-1"}
    assert made.cases[0].body["record"]["promise"] == "2011-12-06T16:00:00+00:00"
    assert made.cases[0].body["channel"] == "desk"


@pytest.mark.parametrize(
    ("recorded", "channel"),
    [("Internet", "online"), ("e-mail", "online"), ("Desk", "desk"), ("Intern", "desk"), ("Post", "post")],
)
def test_the_log_s_channels_are_ours(tmp_path: Path, calendar: WorkingCalendar, recorded: str, channel: str) -> None:
    assert planned(tmp_path, calendar, a_case(channel=recorded)).cases[0].body["channel"] == channel


def test_ids_follow_from_the_content_and_not_from_how_it_is_packed(tmp_path: Path, calendar: WorkingCalendar) -> None:
    content = a_log(a_case(an_event(), an_event()), a_case(ident="case-2"))
    again = tmp_path / "again"
    again.mkdir()

    first = plan(read_log(packed(tmp_path, content)), calendar, NOW)
    (again / "log.xes.gz").write_bytes(gzip.compress(content, compresslevel=1, mtime=7))
    second = plan(read_log(again / "log.xes.gz"), calendar, NOW)

    assert first == second
    ids = [case.key for case in first.cases] + [step.id for case in first.cases for step in case.steps]
    assert len(set(ids)) == 5


def test_a_limit_takes_those_that_were_received_first(tmp_path: Path, calendar: WorkingCalendar) -> None:
    later, earlier = a_case(an_event(at=SECOND), ident="later"), a_case(an_event(at=FIRST), ident="earlier")

    assert [case.case for case in planned(tmp_path, calendar, later, earlier, limit=1).cases] == ["earlier"]


def _not_packed(content: bytes) -> bytes:
    return content


def _cut(content: bytes) -> bytes:
    return gzip.compress(content)[:-60]


def _wrong_sum(content: bytes) -> bytes:
    whole = bytearray(gzip.compress(content))
    whole[-8] ^= 0xFF
    return bytes(whole)


WHOLE = a_log(a_case())
TWO = a_case(an_event(), "\n", an_event(at=None))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (WHOLE, "The file is not packed with gzip"),
        (b"", "The file is empty"),
        (gzip.compress(b""), "The file is empty"),
        (
            _cut(a_log(*(a_case(ident=f"case-{n}") for n in range(400)))),
            "The file is cut off: its packed data",
        ),
        (_wrong_sum(WHOLE), "The file is damaged"),
        (gzip.compress(WHOLE[:-30]), "The file is cut off: its XML ends at line"),
        (gzip.compress(b'{"log": []}'), "The file is not XES: line 1, column 1"),
        (gzip.compress(b"<html><body/></html>"), "it begins with <html>"),
        (gzip.compress(b'<!DOCTYPE log [<!ENTITY a "b">]><log>&a;</log>'), "line 1 declares a document type"),
        (gzip.compress(a_log()), "The log holds no cases"),
        (gzip.compress(a_log("<event/>")), "an event stands outside of any case"),
    ],
    ids=["plain", "empty", "empty inside", "cut", "wrong sum", "XML cut", "JSON", "HTML", "DTD", "no cases", "stray"],
)
def test_a_file_that_is_no_log_is_refused_in_one_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "log.xes.gz"
    path.write_bytes(content)

    with pytest.raises(BadLogError, match=sentence):
        read_log(path)


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        (TWO, r"Event 2 of case case-1 \(line 7\) has no time:timestamp"),
        (a_case(an_event(at="2011-10-11T13:42:22")), "without an offset"),
        (a_case(an_event(at="yesterday")), "is not a time like"),
        (a_case(an_event(at="2011-02-30T13:42:22Z")), "day"),
        (a_case(an_event(at="0001-02-03T13:42:22Z")), "outside the years"),
        (a_case(an_event(at="2011-10-11T13:42:22.123456789Z")), "finer than a microsecond"),
        (a_case(an_event(at=SECOND), an_event(at=FIRST)), r"Event 2 of case case-1 \(line 6\) is earlier"),
        (a_case(an_event("x" * 121)), "at most 120 characters"),
        (a_case(an_event(group="Pho\u0300ng 1")), "NFC"),
        (a_case(an_event("")), "has no concept:name"),
        (a_case("<string key='a' value='b'/>"), r"Case case-1 \(line 5\) has no events"),
        (a_case(an_event(), ident=""), "The case at line 5 has no concept:name"),
        (a_case() + a_case(), "stands in the log twice, first at line 5"),
        ("<trace><string key='a' value='b'/><string key='a' value='c'/></trace>", "a is given twice"),
        (a_case(channel="Fax"), "the channel 'Fax' is unknown"),
        (a_case(dates={"deadline": "soon"}), "deadline is not a time like"),
        (a_case(an_event(at="2030-01-01T00:00:00Z")), "in the future"),
    ],
)
def test_a_bad_case_is_refused_with_its_place(
    tmp_path: Path, calendar: WorkingCalendar, case: str, sentence: str
) -> None:
    with pytest.raises(BadLogError, match=sentence):
        planned(tmp_path, calendar, case)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("2", 2.0),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0),
        ("x", None),
    ],
)
def test_a_service_says_when_to_come_again_as_a_number_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@needs_the_receipt_log
def test_the_receipt_log_is_read_whole(calendar: WorkingCalendar) -> None:
    log = read_log(RECEIPT_LOG)
    made = plan(log, calendar, NOW)

    events = [event for case in log.cases for event in case.events]
    assert (len(log.cases), len(events), len({event.activity for event in events})) == (1434, 8577, 27)
    assert sum(event.group == "EMPTY" for event in events) == 1936
    assert sum(len(case.events) == 1 for case in log.cases) == 116
    assert (len(made.cases), made.steps) == (1434, 8577)
    assert (made.without_deadline, made.without_channel) == (0, 0)
    assert _channels(made) == {"online": 1271, "desk": 110, "post": 53}
    assert _ends(log) == {"without": 105, "steps after it": 145}


def _channels(made: Plan) -> dict[str, int]:
    channels = [case.body["channel"] for case in made.cases]
    return {channel: channels.count(channel) for channel in ("online", "desk", "post")}


def _ends(log: Log) -> dict[str, int]:
    ends = [(case.attributes.get("enddate"), case.events[-1].at) for case in log.cases]
    return {
        "without": sum(end is None for end, _ in ends),
        "steps after it": sum(end is not None and last > datetime.fromisoformat(end) for end, last in ends),
    }
