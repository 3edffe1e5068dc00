"""The goldens can fail: each forbidden change, made to a copy of a class, is found; the two allowed ones are not."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from shared.events import DossierReceived, Event, HandedOver, NoticeSent, StageName, StageStarted, SupplementRequested
from tests.contracts import golden


class _FewerChannels(StrEnum):
    DESK = "desk"
    ONLINE = "online"


class _MoreChannels(StrEnum):
    DESK = "desk"
    ONLINE = "online"
    POST = "post"
    KIOSK = "kiosk"


class _Like(BaseModel):
    # No subclass of Event: what is one may travel.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _changed(event: type[Event], *, without: str | None = None, **fields: Any) -> type[BaseModel]:
    """A copy of a class; ``fields`` replace its own or come to them."""
    own: dict[str, Any] = {
        name: (field.rebuild_annotation(), field) for name, field in event.model_fields.items() if name != without
    }
    return create_model(event.__name__, __base__=_Like, **{**own, **fields})


def _complaints(event: type[Event], mutant: type[BaseModel]) -> list[str]:
    return list(golden.complaints(golden.golden_of(event, "0.1.0"), mutant))


@pytest.mark.parametrize("event", [DossierReceived, HandedOver, NoticeSent, StageStarted, SupplementRequested])
def test_a_mere_copy_is_no_change(event: type[Event]) -> None:
    assert _complaints(event, _changed(event)) == []


@pytest.mark.parametrize(
    ("event", "mutant", "found"),
    [
        pytest.param(
            DossierReceived,
            _changed(DossierReceived, without="promise"),
            "promise: is gone",
            id="a required field is gone",
        ),
        pytest.param(HandedOver, _changed(HandedOver, without="late"), "late: is gone", id="an optional field is gone"),
        pytest.param(
            DossierReceived,
            _changed(DossierReceived, without="unit", ward=(str, ...)),
            "unit: is gone",
            id="a field is renamed",
        ),
        pytest.param(
            NoticeSent,
            _changed(NoticeSent, without="attempts", tries=(Annotated[int, Field(alias="attempts")], ...)),
            "means something else",
            id="a field is renamed behind an alias",
        ),
        pytest.param(
            SupplementRequested,
            _changed(SupplementRequested, officer=(str, ...)),
            "officer: is new and required",
            id="a new field is required",
        ),
        pytest.param(
            StageStarted,
            _changed(StageStarted, due=(AwareDatetime, ...)),
            "due: was optional, is required",
            id="an optional field becomes required",
        ),
        pytest.param(
            HandedOver,
            _changed(HandedOver, stage=(Annotated[str, Field(min_length=1, max_length=60)], ...)),
            "stage: maxLength was 120, is 60",
            id="a text may be less long",
        ),
        pytest.param(
            HandedOver,
            _changed(HandedOver, run=(Annotated[int, Field(ge=1)], ...)),
            "run: minimum was",
            id="a number has a least",
        ),
        pytest.param(
            NoticeSent,
            _changed(NoticeSent, notice=(Literal["one", "two"], ...)),
            "notice: was any string, is one of a few",
            id="a text becomes one of a few",
        ),
        pytest.param(
            HandedOver, _changed(HandedOver, run=(str, ...)), "run: type was 'integer'", id="a type is another"
        ),
        pytest.param(
            DossierReceived,
            _changed(DossierReceived, channel=(_FewerChannels, ...)),
            "channel: no longer 'post'",
            id="a value of an enumeration is gone",
        ),
        pytest.param(
            NoticeSent,
            _changed(NoticeSent, channel=(Literal["email"], ...)),
            "channel: no longer 'sms'",
            id="a literal is gone",
        ),
        pytest.param(
            StageStarted,
            _changed(StageStarted, generation=(int, 2)),
            "generation: default was 1, is 2",
            id="a default is another, and with it every record that leaves the field out",
        ),
        pytest.param(
            NoticeSent,
            _changed(NoticeSent, attempts=(int | None, None)),
            "attempts: was always there",
            id="older readers insist on what may now be absent",
        ),
        pytest.param(
            HandedOver,
            _changed(HandedOver, stage=(Annotated[str, Field(min_length=1, max_length=500)], ...)),
            "stage: maxLength was 120, is 500",
            id="older readers refuse what may now be longer",
        ),
    ],
)
def test_a_forbidden_change_is_found(event: type[Event], mutant: type[BaseModel], found: str) -> None:
    complaints = _complaints(event, mutant)

    assert [one for one in complaints if found in one], complaints


@pytest.mark.parametrize(
    ("event", "mutant"),
    [
        pytest.param(HandedOver, _changed(HandedOver, note=(StageName | None, None)), id="a new field is optional"),
        pytest.param(
            DossierReceived, _changed(DossierReceived, channel=(_MoreChannels, ...)), id="an enumeration gets a value"
        ),
    ],
)
def test_the_two_allowed_changes_are_no_complaint(event: type[Event], mutant: type[BaseModel]) -> None:
    assert _complaints(event, mutant) == []
