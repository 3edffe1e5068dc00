"""Who of a group hears which partitions: all there are, whether the broker has the topic at this moment or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.coordinator.assignors.range import RangePartitionAssignor

from shared.topics import TOPICS

_OURS: Final = {topic.name: set(range(topic.partitions)) for topic in TOPICS}


class WholeRangeAssignor(RangePartitionAssignor):
    """aiokafka's, but how many partitions our topics have is known here and not asked of the broker.

    A topic that is deleted to be made anew is missing for a moment. Whoever leads the group then gives nobody its
    partitions, and mends that when he learns that it is there again. If he is started anew before, nobody does: as a
    static member he gets his place back without a new turn, no longer as the leader, and only leaders look. The group
    is whole for the broker, and hears nothing.
    """

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """By member its partitions of each topic."""
        assigned: dict[str, Any] = super().assign(_Whole(cluster), members)  # type: ignore[arg-type]
        return assigned


@dataclass(frozen=True, slots=True)
class _Whole:
    """As much of a cluster's metadata as the assignor asks for."""

    told: Any

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        known: set[int] | None = _OURS.get(topic) or self.told.partitions_for_topic(topic)
        return known
