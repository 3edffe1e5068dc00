"""What a relay leaves alone while it takes nothing, and for how long."""

from __future__ import annotations

from shared.outbox.aside import Aside

OWN, CONTACT = ("intake.dossier", 3), ("intake.contact", 3)
WHY = TimeoutError()


def test_what_takes_nothing_while_others_do_is_left_alone_for_longer_each_time() -> None:
    aside, now, waits = Aside(OWN[0]), 0.0, []

    for _ in range(6):
        aside.took({OWN})
        aside.put({CONTACT: WHY})
        before = now
        while aside.read(now):
            now += 1
        waits.append(now - before)

    assert waits == [2, 15, 30, 60, 120, 120]


def test_while_nobody_takes_anything_all_are_tried_again_soon() -> None:
    aside, now = Aside(OWN[0]), 0.0

    for _ in range(5):
        aside.put({OWN: WHY, CONTACT: WHY})
        assert sorted(aside.read(now)) == ["/3", "intake.contact/3"]
        now += 2
        assert aside.read(now) == []


def test_what_took_something_begins_anew() -> None:
    aside = Aside(OWN[0])
    for _ in range(3):
        aside.took({OWN})
        aside.put({CONTACT: WHY})

    aside.took({OWN, CONTACT})
    aside.put({CONTACT: WHY})

    assert (aside.read(100.0), aside.read(101.0), aside.read(102.0)) == (["intake.contact/3"], ["intake.contact/3"], [])


def test_however_long_a_relay_takes_to_begin_anew_the_others_have_their_turn_first() -> None:
    aside, now = Aside(OWN[0]), 0.0

    for _ in range(3):
        aside.put({CONTACT: WHY})
        now += 60
        assert aside.named(now) == ["intake.contact/3"]  # whoever else asks does not use their turn up
        now += 60
        assert aside.read(now) == ["intake.contact/3"]
        now += 60
        assert aside.read(now) == []
