"""What a library says again and again is told once in a while, with how often it was said; what we say, always."""

from __future__ import annotations

import logging

from shared.telemetry.logs import Seldom


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _line(name: str, text: str, *given: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, given, None)


def test_what_a_library_repeats_goes_through_once_and_is_counted() -> None:
    clock = _Clock()
    seldom = Seldom(clock, every=30)
    away = "Unable connect to node with id %s: %s"

    passed = [seldom.filter(_line("aiokafka", away, number, "refused")) for number in range(100)]
    assert passed == [True] + [False] * 99

    clock.now = 30
    again = _line("aiokafka", away, 1, "refused")
    assert seldom.filter(again)
    assert again.__dict__["left_out"] == 99

    clock.now = 60
    once_more = _line("aiokafka", away, 1, "refused")
    assert seldom.filter(once_more)
    assert "left_out" not in once_more.__dict__


def test_another_text_level_or_logger_is_another_line() -> None:
    seldom = Seldom(_Clock())

    assert seldom.filter(_line("aiokafka", "one"))
    assert seldom.filter(_line("aiokafka", "another"))
    assert seldom.filter(_line("aiokafka", "one", level=logging.CRITICAL))
    assert seldom.filter(_line("uvicorn.error", "one"))
    assert not seldom.filter(_line("aiokafka", "one"))


def test_what_we_say_is_never_held_back() -> None:
    seldom = Seldom(_Clock())

    assert all(seldom.filter(_line("shared.bus.rows", "dead_letter_written")) for _ in range(100))
    assert all(seldom.filter(_line("services.intake.handlers", "door_closed")) for _ in range(100))


def test_texts_that_are_never_the_same_are_not_kept_for_ever() -> None:
    seldom = Seldom(_Clock())

    assert all(seldom.filter(_line("chatty", f"text {number}")) for number in range(5_000))
    assert len(seldom._told) <= 1_000


def test_every_exception_goes_through_and_any_message_may_be_one() -> None:
    seldom = Seldom(_Clock())
    failed = _line("uvicorn.error", "Exception in ASGI application")
    failed.exc_info = (ValueError, ValueError("one"), None)

    assert all(seldom.filter(failed) for _ in range(3))
    unhashable = logging.LogRecord("aiokafka", logging.ERROR, "", 0, {"of": "no use as a key"}, None, None)
    assert [seldom.filter(unhashable) for _ in range(2)] == [True, False]
