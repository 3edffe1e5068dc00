"""Who may do what, and whose word is taken for who they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import (
    MAY,
    Action,
    Actor,
    Allowed,
    BadActor,
    Denied,
    Refusal,
    Role,
    can,
    dev_actor,
    parse_dev_actor,
)

HERE, THERE = "H41.NN.01", "H41.NN.02"


def an_actor(*roles: Role, unit: str | None = HERE) -> Actor:
    return Actor("officer-7", unit, frozenset(roles))


@pytest.mark.parametrize(
    ("role", "action", "object_unit", "answer"),
    [
        (Role.DESK, Action.RECEIVE_DOSSIER, HERE, Allowed(Role.DESK)),
        (Role.DESK, Action.RECEIVE_DOSSIER, THERE, Denied(Refusal.OTHER_UNIT)),
        (Role.PORTAL, Action.RECEIVE_DOSSIER, THERE, Allowed(Role.PORTAL)),
        (Role.OFFICER, Action.RECEIVE_DOSSIER, HERE, Denied(Refusal.NO_ROLE)),
        (Role.OFFICER, Action.CARRY_OUT_STAGE, HERE, Allowed(Role.OFFICER)),
        (Role.OFFICER, Action.CARRY_OUT_STAGE, THERE, Denied(Refusal.OTHER_UNIT)),
        (Role.SPECIALIST, Action.READ_WORKLIST, HERE, Allowed(Role.SPECIALIST)),
        (Role.SPECIALIST, Action.READ_WORKLIST, None, Denied(Refusal.OTHER_UNIT)),
        (Role.INSPECTOR, Action.READ_WORKLIST, None, Allowed(Role.INSPECTOR)),
        (Role.INSPECTOR, Action.CARRY_OUT_STAGE, HERE, Denied(Refusal.NO_ROLE)),
        (Role.LEADER, Action.READ_REPORT, None, Allowed(Role.LEADER)),
        (Role.OPERATOR, Action.OPERATE, None, Allowed(Role.OPERATOR)),
        (Role.OPERATOR, Action.READ_DOSSIER, HERE, Denied(Refusal.NO_ROLE)),
        (Role.ADMINISTRATOR, Action.PUBLISH_CALENDAR, None, Allowed(Role.ADMINISTRATOR)),
        (Role.ADMINISTRATOR, Action.READ_DOSSIER, HERE, Denied(Refusal.NO_ROLE)),
        (Role.CITIZEN, Action.READ_DOSSIER, HERE, Denied(Refusal.NO_ROLE)),
    ],
)
def test_the_table_is_obeyed(role: Role, action: Action, object_unit: str | None, answer: Allowed | Denied) -> None:
    assert can(an_actor(role), action, object_unit) == answer


def test_of_two_roles_the_one_that_may_decides() -> None:
    both = an_actor(Role.DESK, Role.HISTORY)

    assert can(both, Action.RECEIVE_DOSSIER, HERE) == Allowed(Role.DESK)
    assert can(both, Action.RECEIVE_DOSSIER, THERE) == Allowed(Role.HISTORY)


@pytest.mark.parametrize("action", Action)
def test_somebody_without_a_role_may_do_nothing(action: Action) -> None:
    assert can(an_actor(), action, HERE) == Denied(Refusal.NO_ROLE)


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.GIVE_PAST_TIME])
def test_nobody_is_at_home_in_a_unit_that_nobody_named(action: Action) -> None:
    staff = an_actor(Role.DESK, Role.OFFICER, Role.SPECIALIST, unit=None)

    assert isinstance(can(staff, action, None), Denied)


def test_a_time_in_the_past_is_taken_from_history_alone() -> None:
    everybody_else = an_actor(*(role for role in Role if role is not Role.HISTORY))

    assert can(an_actor(Role.HISTORY), Action.GIVE_PAST_TIME, THERE) == Allowed(Role.HISTORY)
    assert can(everybody_else, Action.GIVE_PAST_TIME, HERE) == Denied(Refusal.NO_ROLE)


def test_every_action_is_in_the_table() -> None:
    assert MAY.keys() == set(Action)


@pytest.mark.parametrize(
    ("header", "actor"),
    [
        (
            "id=officer-7; unit=H41.NN.01; roles=desk,history",
            Actor("officer-7", HERE, frozenset({Role.DESK, Role.HISTORY})),
        ),
        ("roles = desk ;id=a", Actor("a", None, frozenset({Role.DESK}))),
        ("id=portal;roles=portal, portal", Actor("portal", None, frozenset({Role.PORTAL}))),
    ],
)
def test_a_development_header_names_an_actor(header: str, actor: Actor) -> None:
    assert parse_dev_actor(header) == actor


@pytest.mark.parametrize(
    "header",
    [
        "",
        "officer-7",
        "id=officer-7",
        "id=officer-7; roles=",
        "id=officer-7; roles=king",
        "id=officer-7; roles=desk,",
        "id=officer-7; roles=DESK",
        "id=; roles=desk",
        "id=Nguyễn Thị Lan; roles=desk",
        "id=a\n; roles=desk\x00",
        f"id={'a' * 65}; roles=desk",
        "id=a; id=b; roles=desk",
        "id=a; roles=desk; colour=red",
        "id=a; unit=; roles=desk",
        "id=a; unit=H41 NN; roles=desk",
        "id=a; roles=desk;",
    ],
)
def test_a_header_that_names_nobody_is_refused_with_a_reason(header: str) -> None:
    refused = parse_dev_actor(header)

    assert isinstance(refused, BadActor)
    assert refused.reason


@given(st.text())
def test_any_header_is_an_actor_or_a_reason(header: str) -> None:
    assert isinstance(parse_dev_actor(header), Actor | BadActor)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_the_header_is_believed_from_this_machine(peer: str) -> None:
    assert isinstance(dev_actor("id=a; roles=desk", peer, enabled=True), Actor)


@pytest.mark.parametrize("peer", ["192.168.1.4", "::ffff:10.0.0.1", "fe80::1", "localhost", "", None, "8.8.8.8"])
def test_the_header_is_believed_from_nowhere_else(peer: str | None) -> None:
    assert isinstance(dev_actor("id=a; roles=desk", peer, enabled=True), BadActor)


def test_the_header_is_believed_only_while_it_is_enabled() -> None:
    assert isinstance(dev_actor("id=a; roles=desk", "127.0.0.1", enabled=False), BadActor)
    assert isinstance(dev_actor(None, "127.0.0.1", enabled=True), BadActor)
