"""Who speaks and hears, and the topics on which they do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_DAY_MS: Final = 86_400_000


class Service(StrEnum):
    """The four services, in the river's order. The value is also CloudEvents ``source`` without its slash."""

    INTAKE = "intake"
    ROUTING = "routing"
    NOTIFICATION = "notification"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic. ``compacted``: the newest value of a key stays, older ones may go (erasure by tombstone).

    ``kept_seconds``: after so long a record may go; None: never.
    """

    name: str
    partitions: int = 12
    compacted: bool = False
    kept_seconds: int | None = None


PARTITIONS: Final = 12

INTAKE: Final = Topic("intake.dossier", PARTITIONS)
CONTACT: Final = Topic("intake.contact", PARTITIONS, compacted=True)
ROUTING: Final = Topic("routing.dossier", PARTITIONS)
NOTIFICATION: Final = Topic("notification.dossier", PARTITIONS)

TOPICS: Final[tuple[Topic, ...]] = (INTAKE, CONTACT, ROUTING, NOTIFICATION)

CONTROL: Final = Topic("bus.control", 1, kept_seconds=3600)
"""On it speakers and hearers tell each other how much was said and heard (`shared.bus.tally`). No events."""

TOPIC_OF: Final = {Service.INTAKE: INTAKE, Service.ROUTING: ROUTING, Service.NOTIFICATION: NOTIFICATION}


def settings_of(topic: Topic) -> dict[str, str]:
    """The settings with which a topic is made: no event is forgotten by age or size.

    On a compacted topic what was erased goes within a day, and its tombstone stays for thirty (decision 0071).
    """
    policy = "compact" if topic.compacted else "delete"
    # The broker's own clock dates records (decision 0089).
    always = {"cleanup.policy": policy, "message.timestamp.type": "LogAppendTime", "retention.bytes": "-1"}
    if topic.kept_seconds is not None:
        kept = str(topic.kept_seconds * 1000)
        # A segment goes as a whole, and only when it is closed.
        return {**always, "retention.ms": kept, "segment.ms": kept}
    settings = {**always, "retention.ms": "-1"}
    if topic.compacted:
        settings |= {
            "max.compaction.lag.ms": str(_DAY_MS),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": str(30 * _DAY_MS),
        }
    return settings
