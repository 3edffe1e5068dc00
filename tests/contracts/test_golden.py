"""What was ever said is understood for ever."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.envelope import Heard, Record, decode, headers_of
from shared.events import Event, every_event
from shared.topics import CONTACT
from shared.version import release
from tests.contracts import golden
from tests.contracts.golden import Golden

_STORED = golden.stored()
_EVENTS = [one for one in _STORED if one.records["whole"]["topic"] != CONTACT.name]


def _id(one: Golden) -> str:
    return f"{one.version}-{one.type}"


@pytest.mark.parametrize("one", _STORED, ids=_id)
def test_a_record_of_any_version_means_today_what_it_meant_then(one: Golden) -> None:
    today = golden.messages().get(one.type)

    assert today is not None, f"{one.type} was said in {one.version}: its class stays, so that its records can be read"
    assert list(golden.complaints(one, today)) == []


@pytest.mark.parametrize("one", _EVENTS, ids=_id)
def test_the_hearers_read_a_record_of_any_version_from_its_bytes(one: Golden) -> None:
    for record in one.records.values():
        headers = tuple((name, value.encode()) for name, value in record["headers"].items())
        body = json.dumps(record["body"], ensure_ascii=False).encode()

        heard = decode(Record(record["topic"], 0, 0, record["key"].encode(), headers, body))

        assert isinstance(heard, Heard), heard
        assert {name: value.decode() for name, value in headers_of(heard)} == record["headers"]


def test_every_event_of_this_version_has_its_golden() -> None:
    version = release()

    kept = {one.type: one for one in _STORED if one.version == version}

    assert kept.keys() == golden.messages().keys(), "run `make contracts` and commit what it writes"
    if not golden.is_released(version):
        stale = [
            name for name, message in golden.messages().items() if kept[name] != golden.golden_of(message, version)
        ]
        assert stale == [], "run `make contracts` and commit what it writes"


@pytest.mark.parametrize("event", every_event().values(), ids=lambda event: event.__name__)
def test_a_whole_golden_carries_every_field(event: type[Event]) -> None:
    body = golden.golden_of(event, "x").records["whole"]["body"]

    assert body.keys() == event.model_fields.keys()


def test_goldens_carry_every_header() -> None:
    headers = {name for one in _STORED for record in one.records.values() for name in record["headers"]}

    assert {"ce_causesource", "ce_causeversion", "ce_origin", "ce_actor", "traceparent"} <= headers


def test_goldens_of_an_unreleased_version_follow_the_code(tmp_path: Path) -> None:
    golden.write("9.9.9", tmp_path, released=False)
    (tmp_path / "9.9.9" / "HandedOver.json").write_text("{}", encoding="utf-8")
    (tmp_path / "9.9.9" / "NeverSaid.json").write_text("{}", encoding="utf-8")

    written = golden.write("9.9.9", tmp_path, released=False)

    assert [path.stem for path in written] == ["HandedOver", "NeverSaid"]
    assert golden.write("9.9.9", tmp_path, released=False) == []
    assert {one.type for one in golden.stored(tmp_path)} == golden.messages().keys()


def test_goldens_of_a_released_version_are_never_written_again(tmp_path: Path) -> None:
    golden.write("9.9.9", tmp_path, released=True)
    changed = tmp_path / "9.9.9" / "HandedOver.json"
    changed.write_text("{}", encoding="utf-8")

    with pytest.raises(ValueError, match=r"9\.9\.9 is released.*HandedOver.*Raise the version"):
        golden.write("9.9.9", tmp_path, released=True)

    assert changed.read_text(encoding="utf-8") == "{}"


def test_a_version_is_released_when_the_changelog_dates_it() -> None:
    assert golden.is_released("0.1.0", "# Changelog\n\n## [0.1.0] - 2019-05-06\n")
    assert not golden.is_released("0.1.0", "# Changelog\n\n## [0.1.0] - unreleased\n")
    with pytest.raises(ValueError, match=r"no heading '## \[0\.2\.0\] - unreleased'"):
        golden.is_released("0.2.0", "# Changelog\n\n## [0.1.0] - 2019-05-06\n")
