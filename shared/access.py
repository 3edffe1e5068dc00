"""Who acts, and what they may do: one table, asked by every service before it carries out a command or shows a page."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from ipaddress import IPv6Address, ip_address


class Role(StrEnum):
    """What somebody is to the one-stop shop. One person may be several things."""

    CITIZEN = "citizen"
    PORTAL = "portal"
    DESK = "desk"
    OFFICER = "officer"
    SPECIALIST = "specialist"
    LEADER = "leader"
    INSPECTOR = "inspector"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    HISTORY = "history"
    """Brings in what happened elsewhere and earlier: replay, and the migration of old records."""


class Action(StrEnum):
    RECEIVE_DOSSIER = "receive_dossier"
    READ_DOSSIER = "read_dossier"
    HAND_OVER_RESULT = "hand_over_result"
    ERASE_PERSONAL_DATA = "erase_personal_data"
    CARRY_OUT_STAGE = "carry_out_stage"
    READ_WORKLIST = "read_worklist"
    PUBLISH_PROCEDURE = "publish_procedure"
    PUBLISH_UNIT = "publish_unit"
    PUBLISH_ROUTE = "publish_route"
    APPOINT_OFFICER = "appoint_officer"
    READ_OFFICERS = "read_officers"
    PUBLISH_CALENDAR = "publish_calendar"
    OPERATE = "operate"
    READ_REPORT = "read_report"
    GIVE_PAST_TIME = "give_past_time"


class Reach(Enum):
    """Where a role may do it: at the actor's own unit, or at any (also where no single unit is concerned)."""

    OWN = "own"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who vouches for a command. The id is a pseudonym; whether it is true is the affair of the edge that made this."""

    id: str
    unit: str | None
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Allowed:
    """By this role of the actor."""

    role: Role


class Refusal(StrEnum):
    NO_ROLE = "no_role"
    """None of the actor's roles may do it anywhere."""
    OTHER_UNIT = "other_unit"
    """A role of the actor may do it, but only at the actor's own unit."""


@dataclass(frozen=True, slots=True)
class Denied:
    reason: Refusal


@dataclass(frozen=True, slots=True)
class BadActor:
    """No actor can be read from a header. `reason` is a sentence for the developer who wrote it."""

    reason: str


_STAFF = {Role.DESK: Reach.OWN, Role.OFFICER: Reach.OWN, Role.SPECIALIST: Reach.OWN, Role.LEADER: Reach.OWN}

MAY: Mapping[Action, Mapping[Role, Reach]] = {
    Action.RECEIVE_DOSSIER: {
        Role.CITIZEN: Reach.ANY,
        Role.PORTAL: Reach.ANY,
        Role.DESK: Reach.OWN,
        Role.HISTORY: Reach.ANY,
    },
    Action.READ_DOSSIER: {**_STAFF, Role.PORTAL: Reach.ANY, Role.INSPECTOR: Reach.ANY, Role.HISTORY: Reach.ANY},
    Action.HAND_OVER_RESULT: {Role.DESK: Reach.OWN, Role.HISTORY: Reach.ANY},
    # The head answers for it; the administrator, where the unit exists no more.
    Action.ERASE_PERSONAL_DATA: {Role.LEADER: Reach.OWN, Role.ADMINISTRATOR: Reach.ANY},
    Action.CARRY_OUT_STAGE: {**_STAFF, Role.HISTORY: Reach.ANY},
    Action.READ_WORKLIST: {**_STAFF, Role.INSPECTOR: Reach.ANY},
    Action.PUBLISH_PROCEDURE: {Role.ADMINISTRATOR: Reach.ANY},
    Action.PUBLISH_UNIT: {Role.ADMINISTRATOR: Reach.ANY},
    Action.PUBLISH_ROUTE: {Role.ADMINISTRATOR: Reach.ANY},
    Action.APPOINT_OFFICER: {Role.ADMINISTRATOR: Reach.ANY},
    Action.READ_OFFICERS: {
        **_STAFF,
        Role.INSPECTOR: Reach.ANY,
        Role.OPERATOR: Reach.ANY,
        Role.ADMINISTRATOR: Reach.ANY,
        Role.HISTORY: Reach.ANY,
    },
    Action.PUBLISH_CALENDAR: {Role.ADMINISTRATOR: Reach.ANY},
    Action.OPERATE: {Role.OPERATOR: Reach.ANY},
    Action.READ_REPORT: {Role.LEADER: Reach.ANY, Role.INSPECTOR: Reach.ANY, Role.ADMINISTRATOR: Reach.ANY},
    Action.GIVE_PAST_TIME: {Role.HISTORY: Reach.ANY},
}
"""What is not in the table is denied. A citizen reads a dossier by proving that it is theirs: a rule of intake."""


@lru_cache(maxsize=4096)
def can(actor: Actor, action: Action, object_unit: str | None) -> Allowed | Denied:
    """Whether the actor may do it at the unit to which the object belongs; None when it concerns no single unit."""
    reach = MAY[action]
    held = [role for role in Role if role in actor.roles and role in reach]
    if not held:
        return Denied(Refusal.NO_ROLE)
    at_own_unit = actor.unit is not None and actor.unit == object_unit
    for role in held:
        if at_own_unit or reach[role] is Reach.ANY:
            return Allowed(role)
    return Denied(Refusal.OTHER_UNIT)


DEV_ACTOR_HEADER = "X-Dev-Actor"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


def dev_actor(header: str | None, peer: str | None, *, enabled: bool) -> Actor | BadActor:
    """The actor of a development header, believed only while it is enabled and only from this machine.

    `peer` is the address of the client as the server knows it; behind a proxy, that which the proxy forwards.
    """
    if header is None:
        return BadActor("nobody is named; until there is a sign-in, send X-Dev-Actor from this machine")
    if not enabled:
        return BadActor("X-Dev-Actor is switched off here")
    if not _is_loopback(peer):
        return BadActor("X-Dev-Actor is believed only from this machine")
    return parse_dev_actor(header)


@lru_cache(maxsize=1024)
def parse_dev_actor(header: str) -> Actor | BadActor:
    """`id=officer-7; unit=H41.NN.01; roles=desk,history`; the unit may be left out."""
    fields: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in {"id", "unit", "roles"}:
            return BadActor("write `id=…; unit=…; roles=…,…`, and nothing else")
        if name in fields:
            return BadActor(f"{name} is given twice")
        fields[name] = value
    if not _ID.fullmatch(fields.get("id", "")):
        return BadActor("the id is 1 to 64 letters, digits, dots, dashes or underlines: a pseudonym, not a name")
    if "unit" in fields and not _UNIT.fullmatch(fields["unit"]):
        return BadActor("the unit is a code of 1 to 32 letters, digits, dots, dashes or underlines")
    names = [name.strip() for name in fields.get("roles", "").split(",")]
    if not all(name in {role.value for role in Role} for name in names):
        return BadActor(f"the roles are one or more of {', '.join(Role)}")
    return Actor(fields["id"], fields.get("unit"), frozenset(Role(name) for name in names))


@lru_cache(maxsize=1024)
def _is_loopback(peer: str | None) -> bool:
    try:
        address = ip_address(peer or "")
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
