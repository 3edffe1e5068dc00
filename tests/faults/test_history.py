"""The witness itself: what it forgets, and when a verdict may not be believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.faults.checker import Finding, Verdict, invariants
from tests.faults.history import Asked, History, Outcome, read
from tests.faults.strikes import strikes


def a_wish(key: str = "k") -> Asked:
    return Asked("hand_over", "routing", key, "d", {"seen": 1, "action": {"kind": "hand_over"}})


async def test_what_was_asked_and_never_answered_is_unknown(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.open()

    first, _ = await history.invoke(a_wish()), await history.invoke(a_wish("other"))
    await history.returned(first, Outcome.OK, 200, {"version": 2})
    history.close()

    told, unknown = read(history.path)
    assert (told.asked, told.outcome, told.answer) == (a_wish(), Outcome.OK, {"version": 2})
    assert (unknown.outcome, unknown.status) == (Outcome.INFO, None)


async def test_what_was_sent_after_another_was_told_lies_below_it(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.open()

    first, beside = await history.invoke(a_wish()), await history.invoke(a_wish())
    await history.returned(first, Outcome.OK, 200, {})
    await history.returned(await history.invoke(a_wish()), Outcome.FAIL, 409, {})
    history.close()

    told, meanwhile, afterwards = read(history.path)
    assert (meanwhile.number, meanwhile.told_line) == (beside, None)
    assert told.told_line is not None
    assert meanwhile.sent_line < told.told_line < afterwards.sent_line
    assert told.invoked <= afterwards.invoked


async def test_an_answer_that_was_torn_while_it_was_written_is_none(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.open()
    await history.returned(await history.invoke(a_wish()), Outcome.FAIL, 409, {})
    history.close()
    whole = history.path.read_bytes()

    history.path.write_bytes(whole[:-5])

    assert [one.outcome for one in read(history.path)] == [Outcome.INFO]


async def test_many_who_write_at_once_are_all_on_disk(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.open()

    numbers = await asyncio.gather(*(history.invoke(a_wish(str(number))) for number in range(300)))

    assert [one.number for one in read(history.path)] == sorted(numbers)
    history.close()


def test_an_invariant_that_was_not_exercised_fails_the_run() -> None:
    assert Verdict({"it holds": Finding(exercised=1)}).faults == []
    assert Verdict({"it holds": Finding()}).faults == ["not exercised: it holds"]


def test_an_invariant_whose_ground_was_taken_away_is_told_and_not_counted() -> None:
    verdict = Verdict({"in order": None})

    assert verdict.faults == []
    assert "without ground" in verdict.lines()[0]


def test_every_invariant_and_every_strike_has_a_name_of_its_own() -> None:
    sentences = [one.sentence for one in invariants()]

    assert len(set(sentences)) == len(sentences) > 20
    assert {"crash_points", "kills", "outage", "disorder", "forgery"} <= strikes().keys()
