"""Golden records: how an event of a version lies on its topic, and what it meant to the readers of that version.

They are kept in ``golden/VERSION/EVENT.json``, and once the version is released (the changelog gives it a date) they
are never written again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from deploy.contracts.examples import Example, contact_example, example_of
from deploy.contracts.schemas import schema_of
from shared.envelope import body_of
from shared.events import ContactGiven, Event, every_event
from tests.architecture.tree import REPOSITORY
from tests.contracts.changes import breaks

FOLDER: Final = Path(__file__).with_name("golden")
_CHANGELOG: Final = REPOSITORY / "CHANGELOG.md"


@dataclass(frozen=True, slots=True)
class Golden:
    """One event of one version: what its readers took, and records with topic, key, headers, body and means."""

    version: str
    type: str
    schema: dict[str, Any]
    records: dict[str, dict[str, Any]]

    @property
    def path(self) -> Path:
        """Where it is kept, below the folder of goldens."""
        return Path(self.version) / f"{self.type}.json"

    def text(self) -> str:
        """The file's content."""
        told = {"version": self.version, "type": self.type, "records": self.records, "schema": self.schema}
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def messages() -> dict[str, type[BaseModel]]:
    """Everything that may travel today, by name."""
    return {**every_event(), ContactGiven.__name__: ContactGiven}


def is_released(version: str, changelog: str | None = None) -> bool:
    """Whether the changelog gives the version a date. ValueError when it does not know the version."""
    text = _CHANGELOG.read_text(encoding="utf-8") if changelog is None else changelog
    said = re.search(rf"^## \[{re.escape(version)}\] - (\S+)$", text, re.MULTILINE)
    if said is None:
        raise ValueError(f"CHANGELOG.md has no heading '## [{version}] - unreleased' or with a date")
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", said[1]) is not None


def stored(folder: Path = FOLDER) -> list[Golden]:
    """Every golden ever kept."""
    return [Golden(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*/*.json"))]


def golden_of(message: type[BaseModel], version: str) -> Golden:
    """The golden of today's code."""
    shown = {"whole": contact_example()}
    if issubclass(message, Event):
        shown = {"whole": example_of(message), "least": example_of(message, whole=False)}
    records = {name: _record(message, example) for name, example in shown.items()}
    return Golden(version, message.__name__, schema_of(message), records)


def _record(message: type[BaseModel], example: Example) -> dict[str, Any]:
    return {
        "topic": example.topic,
        "key": example.key,
        "headers": dict(example.headers),
        "body": json.loads(example.body),
        "means": message.model_validate_json(example.body).model_dump(mode="json"),
    }


def write(version: str, folder: Path, *, released: bool) -> list[Path]:
    """Keep today's goldens under a version; which were written.

    While the version is unreleased they follow the code. A released one's are for ever: ValueError, and nothing is
    written, when one would change, come or go.
    """
    wanted = {golden.path: golden.text() for golden in (golden_of(one, version) for one in messages().values())}
    there = {path.relative_to(folder): path.read_text(encoding="utf-8") for path in (folder / version).glob("*.json")}
    differing = sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))
    if released and there and differing:
        names = ", ".join(path.stem for path in differing)
        raise ValueError(
            f"version {version} is released, and its goldens are for ever; these would differ: {names}. Raise the "
            "version in pyproject.toml, give it a heading in CHANGELOG.md, and run this again."
        )
    for path in differing:
        target = folder / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path], encoding="utf-8")
        else:
            target.unlink()
    return differing


def complaints(golden: Golden, today: type[BaseModel]) -> Iterator[str]:
    """Where today's class does not understand a golden as its own readers did, or says what those would not take."""
    yield from breaks(golden.schema, schema_of(today))
    reader = Draft202012Validator(golden.schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for name, record in golden.records.items():
        try:
            read = today.model_validate_json(json.dumps(record["body"]))
        except ValidationError as error:
            places = (".".join(map(str, one["loc"])) for one in error.errors(include_input=False))
            yield f"{name}: does not parse: {', '.join(places)}"
            continue
        yield from (f"{name}: {place} means something else" for place in _lost(record["means"], _meaning(read)))
        said = json.loads(_written(read))
        if said != record["body"]:
            yield f"{name}: is written otherwise"
        yield from (
            f"{name}: its reader refuses what is written: {error.message}" for error in reader.iter_errors(said)
        )


def _meaning(read: BaseModel) -> Any:
    return read.model_dump(mode="json")


def _written(read: BaseModel) -> str:
    """As the speaker writes it: events without their defaults, a contact whole."""
    if read.__class__.__name__ == ContactGiven.__name__:
        return read.model_dump_json()
    return body_of(read) if isinstance(read, Event) else read.model_dump_json(exclude_defaults=True)


def _lost(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Places whose value is another one or gone; what came to an object does not count."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, value in before.items():
            yield from _lost(value, after.get(name), f"{place}.{name}" if place else name)
    elif before != after:
        yield place
