"""The doors that the front page shows, by who comes: one table, to be kept in step with what the services serve."""

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final, Literal

SERVICES: Final = ("intake", "routing", "notification", "reporting")
"""In the river's order."""

PREFIXES: Final = {
    **{name: name for name in SERVICES},
    "mail": "mail",
    "telemetry": "receiver",
    "operations": "operations",
    "traces": "operations",
}
"""The first segment of a path, and the process behind the door that answers there."""


DOCUMENTS: Final = "/docs/"


@dataclass(frozen=True, slots=True)
class Place:
    """A door: its name in the texts, where it leads, and through which services. Without a path it is not there yet."""

    name: str
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who comes, and the doors for him, the most wanted first."""

    name: str
    places: tuple[Place, ...] = field(default=())

    def leading_to(self, upstreams: Container[str], *, has_documents: bool) -> "Visitor":
        """The same without the places of a process that does not stand behind this door.

        Documents that nobody has built are not there yet.
        """
        places = (place for place in self.places if _is_behind(place, upstreams))
        if not has_documents:
            places = (replace(place, path=None) if place.path == DOCUMENTS else place for place in places)
        return replace(self, places=tuple(places))


def _is_behind(place: Place, upstreams: Container[str]) -> bool:
    process = PREFIXES.get(place.path[1:].partition("/")[0]) if place.path else None
    return process is None or process in upstreams


VISITORS: Final = (
    Visitor(
        "citizen",
        (Place("procedures", "/intake/procedures/page"), Place("hand_in_online"), Place("rate")),
    ),
    Visitor("desk", (Place("find", "/reporting/dossiers/page"), Place("receive"), Place("queue"))),
    Visitor("specialist", (Place("open_list", "/reporting/dossiers/page?standing=open"), Place("worklist"))),
    Visitor(
        "leader",
        (
            Place("river", "/reporting/river"),
            Place("late_by_unit", "/reporting/#units"),
            Place("late", "/reporting/dossiers/page?standing=late"),
        ),
    ),
    Visitor(
        "inspector",
        (
            Place("timelines", "/reporting/dossiers/page"),
            Place("broken", "/reporting/dossiers/page?late=true"),
            Place("audit"),
        ),
    ),
    Visitor(
        "operator",
        (
            Place("operations", "/operations/"),
            Place("traces", "/traces/"),
            Place("flow", "/reporting/river#flow-title"),
            Place("mails", "/mail/"),
            Place("ready", "/health/ready"),
        ),
    ),
    Visitor(
        "integrator",
        (
            *(Place(f"api_{name}", f"/{name}/docs") for name in SERVICES),
            *(Place(f"openapi_{name}", f"/{name}/openapi.json") for name in SERVICES),
            Place("documents", DOCUMENTS),
        ),
    ),
)

StartedBy = Literal["launcher", "compose", ""]
"""What runs the processes behind the door; nothing: it is not known."""

COMMANDS: Final[dict[StartedBy, tuple[str, ...]]] = {
    "launcher": ("lienthong status", "lienthong trace", "lienthong dead-letters list", "lienthong down"),
    "compose": (
        "docker compose ps",
        "docker compose exec door lienthong dead-letters list",
        "docker compose logs",
        "docker compose down",
    ),
    "": ("lienthong dead-letters list",),
}
"""What operators type, by what has started all this; their meanings are in the texts."""
