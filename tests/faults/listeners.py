"""A door of Kafka for each service, at an address that is not Kafka's own: so that a wire can stand in between.

A Kafka client asks at one address and is told the addresses that it then speaks to. A wire before the first alone would
carry one question; so each service has a listener of its own here, which tells it the wire's address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from deploy.launcher.layout import HOST, SERVICES, Layout
from deploy.launcher.process import Program
from tests.processes import free_port


@dataclass(frozen=True, slots=True)
class Way:
    """Where a service's listener is, and where the service is told that it is."""

    listener: int
    told: int


def with_ways(broker: Program, layout: Layout) -> tuple[Program, dict[str, Way]]:
    """The same broker with a listener more for each service, and the ways that lead to them."""
    ways = {service: Way(free_port(), free_port()) for service in SERVICES}
    settings = _settings(Path(broker.command[-1]))
    settings["listeners"] += "".join(f",{name.upper()}://{HOST}:{way.listener}" for name, way in ways.items())
    settings["advertised.listeners"] += "".join(f",{name.upper()}://{HOST}:{way.told}" for name, way in ways.items())
    settings["listener.security.protocol.map"] += "".join(f",{name.upper()}:PLAINTEXT" for name in ways)
    bent = layout.kafka / "wired.properties"
    bent.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    return replace(broker, command=(*broker.command[:-1], str(bent))), ways


def _settings(path: Path) -> dict[str, str]:
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for name, _, value in pairs}
