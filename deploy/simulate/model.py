"""The figures by which the town is simulated: one data file, each figure with its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

_FILE: Final = Path(__file__).parent / "model.json"


@dataclass(frozen=True, slots=True)
class Spread:
    """A duration that is log-normal: its median, in the unit that its name says, and the logarithm's sigma."""

    median: float
    sigma: float


@dataclass(frozen=True, slots=True)
class Model:
    """Shares lie between 0 and 1; weights count against each other. The sources stand in the file."""

    volume: int
    late_share: float
    late_band: tuple[float, float]
    weekday: tuple[float, ...]
    month: tuple[float, ...]
    before_tet: tuple[float, int]
    after_tet: tuple[float, int]
    desk_hour: Mapping[int, float]
    online_hour: Mapping[int, float]
    channel: Mapping[str, float]
    at_town_desk: float
    town_level: float
    procedure: Mapping[str, float]
    other_procedure: float
    effort: Mapping[str, float]
    effort_sigma: float
    speed_sigma: float
    absent: float
    pace: tuple[float, float]
    late_days: float
    late_role: Mapping[str, float]
    supplement: float
    supplement_again: float
    supplement_never: float
    supplement_days: Spread
    fee: float
    fee_days: Spread
    send_back: float
    withdrawal: float
    collect_never: float
    collect_days: Spread
    contact: float


@cache
def the_model() -> Model:
    """The model of the file."""
    read: dict[str, dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    of = read.__getitem__
    return Model(
        volume=of("volume_per_year")["value"],
        late_share=of("late_share")["value"],
        late_band=(of("late_share")["band"][0], of("late_share")["band"][1]),
        weekday=tuple(of("weekday")["value"]),
        month=tuple(of("month")["value"]),
        before_tet=(of("before_tet")["value"], of("before_tet")["days"]),
        after_tet=(of("after_tet")["value"], of("after_tet")["days"]),
        desk_hour=_by_hour(of("desk_hour")["value"]),
        online_hour=_by_hour(of("online_hour")["value"]),
        channel=of("channel")["value"],
        at_town_desk=of("at_town_desk")["value"],
        town_level=of("town_level")["value"],
        procedure=of("procedure")["value"],
        other_procedure=of("procedure")["otherwise"],
        effort=of("effort_minutes")["value"],
        effort_sigma=of("effort_minutes")["spread"],
        speed_sigma=of("officer_speed")["spread"],
        absent=of("officer_absent")["value"],
        pace=(of("pace")["value"][0], of("pace")["value"][1]),
        late_days=of("late_days")["value"],
        late_role=of("late_role")["value"],
        supplement=of("supplement")["value"],
        supplement_again=of("supplement")["again"],
        supplement_never=of("supplement")["never"],
        supplement_days=Spread(of("supplement")["days"], of("supplement")["spread"]),
        fee=of("fee")["value"],
        fee_days=Spread(of("fee")["days"], of("fee")["spread"]),
        send_back=of("send_back")["value"],
        withdrawal=of("withdrawal")["value"],
        collect_never=of("collect")["never"],
        collect_days=Spread(of("collect")["days"], of("collect")["spread"]),
        contact=of("contact")["value"],
    )


def _by_hour(weights: Mapping[str, float]) -> dict[int, float]:
    return {int(hour): weight for hour, weight in weights.items()}
