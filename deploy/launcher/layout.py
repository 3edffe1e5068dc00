"""Where everything lies on this machine: folders, ports, addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.launcher.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
SERVICES = ("intake", "routing", "notification", "reporting")
REPOSITORY = Path(__file__).resolve().parents[2]
PORTS_IN_RANGE = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """A folder for data and a range of twelve ports, from which every other path and address follows.

    `downloads` is shared by all layouts of a checkout: jars, unpacked PostgreSQL and tools are fetched once. `brokers`:
    how many Kafka consists of; those beyond the first take two more ports each, behind the twelve. `moved_by`: the
    variable that moves the ports.
    """

    var: Path
    port: int = 8080
    downloads: Path = REPOSITORY / "var"
    brokers: int = 1
    moved_by: str = "LIENTHONG_PORT"

    @classmethod
    def of(cls, environ: Mapping[str, str], *, folder: Path = REPOSITORY / "var", port: int = 8080) -> Layout:
        """The layout that LIENTHONG_VAR and LIENTHONG_PORT name, else the given defaults.

        Raises LaunchError when the port is no number or its range of twelve does not fit.
        """
        text = environ.get("LIENTHONG_PORT") or str(port)
        if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= 65535 - PORTS_IN_RANGE):
            raise LaunchError(f"LIENTHONG_PORT is {text!r}: set it to a number from 1024 to {65535 - PORTS_IN_RANGE}.")
        return cls(Path(environ.get("LIENTHONG_VAR") or folder).expanduser().absolute(), int(text))

    @property
    def ports(self) -> dict[str, int]:
        """Port by the name of what listens on it; twelve in a row, in the river's order. New ones go to the end."""
        names = ("door", *SERVICES, "mail", "smtp", "kafka", "kafka-controller", "postgres", "receiver", "operations")
        more = [name for broker in self.broker_names[1:] for name in (broker, controller_of(broker))]
        return {name: self.port + offset for offset, name in enumerate((*names, *more))}

    @property
    def broker_names(self) -> tuple[str, ...]:
        """The processes that Kafka consists of."""
        return ("kafka", *(f"kafka-{number}" for number in range(2, self.brokers + 1)))

    @property
    def kafka_servers(self) -> str:
        """The bootstrap addresses of our own Kafka."""
        return ",".join(f"{HOST}:{self.ports[broker]}" for broker in self.broker_names)

    def url(self, name: str) -> str:
        """The HTTP address of a process by its name, without a final slash."""
        return f"http://{HOST}:{self.ports[name]}"

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self.var / "log" / f"{name}.log"

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def keys(self) -> Path:
        return self.var / "keys"

    @property
    def erasures(self) -> Path:
        """The register of erasures."""
        return self.var / "erasures" / "register.jsonl"

    @property
    def mail(self) -> Path:
        return self.var / "mail"

    @property
    def telemetry(self) -> Path:
        return self.var / "telemetry"

    @property
    def kafka(self) -> Path:
        return self.var / "kafka"

    @property
    def postgres(self) -> Path:
        return self.var / "postgres"

    @property
    def jars(self) -> Path:
        return self.downloads / "jars"

    @property
    def tools(self) -> Path:
        return self.downloads / "tools"


def controller_of(broker: str) -> str:
    """The name under which a broker's controller has its port."""
    return broker.replace("kafka", "kafka-controller", 1)
