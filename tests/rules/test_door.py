"""What else comes in through the door for a dossier, as its status stands."""

from __future__ import annotations

import pytest

from services.intake.handlers.door import HandOut, NotDone, Supplement, Wish, Withdrawal, decide
from services.intake.values import Status
from shared.events import ResultHandedOver, SupplementReceived, WithdrawalRequested
from tests.builders import a_dossier

OPEN = {Status.RECEIVED, Status.IN_PROCESS, Status.WAITS_FOR_SUPPLEMENT, Status.WAITS_FOR_FEE}
FITS: dict[Wish, set[Status]] = {
    Supplement(("cmnd",)): {Status.WAITS_FOR_SUPPLEMENT},
    Withdrawal(): OPEN,
    HandOut("desk"): {Status.RESULT_READY},
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("wish", FITS)
def test_a_wish_is_taken_down_exactly_where_it_fits(wish: Wish, status: Status) -> None:
    decided = decide(a_dossier(status=status), wish)

    if status in FITS[wish]:
        assert not isinstance(decided, NotDone)
    else:
        assert isinstance(decided, NotDone)
        assert (decided.code, decided.status) == ("not_now", status)
        assert decided.do


def test_papers_are_announced_and_routing_decides_what_they_do_to_the_clock() -> None:
    decided = decide(a_dossier(status=Status.WAITS_FOR_SUPPLEMENT), Supplement(("cmnd",)))

    assert not isinstance(decided, NotDone)
    dossier, event = decided
    assert event == SupplementReceived(components=("cmnd",))
    assert (dossier.status, dossier.requested) == (Status.WAITS_FOR_SUPPLEMENT, "supplement")


def test_a_withdrawal_is_requested_here_and_decided_by_routing() -> None:
    decided = decide(a_dossier(status=Status.IN_PROCESS), Withdrawal())

    assert not isinstance(decided, NotDone)
    dossier, event = decided
    assert event == WithdrawalRequested()
    assert (dossier.status, dossier.requested) == (Status.IN_PROCESS, "withdrawal")


def test_a_withdrawal_is_asked_for_once() -> None:
    refused = decide(a_dossier(status=Status.IN_PROCESS, requested="withdrawal"), Withdrawal())

    assert isinstance(refused, NotDone)


def test_papers_do_not_hide_that_the_dossier_was_asked_back() -> None:
    asked_back = a_dossier(status=Status.WAITS_FOR_SUPPLEMENT, requested="withdrawal")

    decided = decide(asked_back, Supplement(()))

    assert not isinstance(decided, NotDone)
    assert decided[0].requested == "withdrawal"


def test_the_result_that_is_handed_out_ends_the_dossier() -> None:
    decided = decide(a_dossier(status=Status.RESULT_READY), HandOut("post"))

    assert not isinstance(decided, NotDone)
    assert (decided[0].status, decided[1]) == (Status.RESULT_HANDED_OVER, ResultHandedOver(way="post"))
