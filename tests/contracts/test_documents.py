"""The documents say what the code says, and what they show is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from pydantic import BaseModel
from typer.testing import CliRunner

from deploy.cli import build
from deploy.contracts import documents
from deploy.contracts.asyncapi import document, meaning_of
from deploy.contracts.examples import example_of, word_of
from deploy.contracts.headers import HEADERS, OPTIONAL
from deploy.contracts.speech import speech_of
from deploy.contracts.words import WORDS
from shared.calendar import from_data
from shared.envelope import Heard, Record, Unreadable, decode, headers_of
from shared.events import CalendarPublished, ContactGiven, DossierReceived, Event, every_event
from shared.topics import TOPICS, Service
from tests.architecture.tree import REPOSITORY
from tests.contracts import golden

_MESSAGES = golden.messages()
_FIELDS = [(message, name) for message in _MESSAGES.values() for name in message.model_fields]


def _record(event: type[Event], *, whole: bool, without: str | None = None) -> Record:
    example = example_of(event, whole=whole)
    headers = tuple((name, value.encode()) for name, value in example.headers.items() if name != without)
    return Record(example.topic, 0, 0, example.key.encode(), headers, example.body.encode())


def test_the_committed_documents_say_what_the_code_says() -> None:
    assert documents.differences(REPOSITORY) == "", "run `make contracts` and commit what it writes"


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "least"])
@pytest.mark.parametrize("event", every_event().values(), ids=lambda event: event.__name__)
def test_an_example_is_heard_as_its_class(event: type[Event], whole: bool) -> None:
    heard = decode(_record(event, whole=whole))

    assert isinstance(heard, Heard), heard
    assert type(heard.event) is event
    assert dict(headers_of(heard)).keys() == example_of(event, whole=whole).headers.keys()


def test_the_calendar_that_is_shown_is_one() -> None:
    heard = decode(_record(CalendarPublished, whole=True))

    assert isinstance(heard, Heard)
    assert isinstance(heard.event, CalendarPublished)
    assert from_data(heard.event.data).code == heard.event.code


@pytest.mark.parametrize(("message", "name"), _FIELDS, ids=lambda it: it if isinstance(it, str) else it.__name__)
def test_every_field_is_explained(message: type[BaseModel], name: str) -> None:
    assert meaning_of(message, name), (
        f"say in deploy/contracts/words.py what {message.__name__}.{name} means, or in its Field"
    )
    assert word_of(message, name) is not None, f"and give {message.__name__}.{name} an example"


def test_every_word_is_of_a_field() -> None:
    known = {name for _, name in _FIELDS} | {f"{message.__name__}.{name}" for message, name in _FIELDS}

    assert WORDS.keys() <= known


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_needed_exactly_if_the_document_says_so(name: str) -> None:
    heard = decode(_record(DossierReceived, whole=True, without=name))

    assert isinstance(heard, Unreadable) == (name not in OPTIONAL)


def test_the_document_names_every_header_that_is_written() -> None:
    written = {name for event in every_event().values() for name in example_of(event).headers}

    assert written == HEADERS.keys()


def test_the_document_has_every_topic_every_message_and_every_hearing() -> None:
    told = document()

    assert [channel["address"] for channel in told["channels"].values()] == [topic.name for topic in TOPICS]
    assert told["components"]["messages"].keys() == _MESSAGES.keys() | {"ContactErased"}
    heard = {
        (operation["tags"][0]["name"], reference["$ref"].rsplit("/", 1)[1])
        for operation in told["operations"].values()
        if operation["action"] == "receive"
        for reference in operation["messages"]
    }
    speeches = {name: speech_of(message) for name, message in _MESSAGES.items()}
    expected = {(hearer.value, name) for name, speech in speeches.items() for hearer in speech.hearers}
    assert heard == expected | {("notification", "ContactErased")}


def test_the_examples_of_the_document_fit_its_schemas() -> None:
    assert list(_misfits(document())) == []


def test_an_example_that_does_not_fit_is_found() -> None:
    told = document()
    shown = told["components"]["messages"]["DossierReceived"]["examples"][0]
    shown["payload"] = {**shown["payload"], "channel": "pigeon"}
    shown["headers"] = {**shown["headers"], "ce_streamversion": "0"}

    assert list(_misfits(told)) == ["DossierReceived headers", "DossierReceived payload"]


def _misfits(told: dict[str, Any]) -> Iterator[str]:
    # The official parser does not look at the examples of AsyncAPI 3.
    for name, message in told["components"]["messages"].items():
        for example in message["examples"]:
            for part in ("headers", "payload"):
                schema = {"allOf": [message[part]], "components": told["components"]}
                reader = Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)
                yield from (f"{name} {part}" for _ in reader.iter_errors(example[part]))


def test_a_service_that_does_not_speak_as_its_docstring_should_is_named() -> None:
    class Mumbled(BaseModel):
        """Something happened. Somebody may hear it."""

    with pytest.raises(ValueError, match="Mumbled: the first line ends"):
        speech_of(Mumbled)


def test_the_contact_is_intake_s_and_notification_hears_it() -> None:
    assert speech_of(ContactGiven).speaker is Service.INTAKE
    assert speech_of(ContactGiven).hearers == (Service.NOTIFICATION,)


# --- the command -----------------------------------------------------------------------------------------------------


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(build(), ["contracts", *arguments])
    return done.exit_code, done.output


def test_the_command_writes_once_and_then_has_nothing_to_write(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "events.py").touch()

    first, second = _run("--in", str(tmp_path)), _run("--in", str(tmp_path))

    assert first == (0, "wrote docs/contracts/asyncapi.json\nwrote docs/contracts/events.md\n")
    assert second == (0, "Nothing to write: the documents say what the code says.\n")
    assert _run("--check", "--in", str(tmp_path))[0] == 0


def test_the_check_shows_the_lines_that_differ(tmp_path: Path) -> None:
    for path, text in documents.documents().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text.replace("A dossier changed hands", "A dossier went on"), encoding="utf-8")

    code, output = _run("--check", "--in", str(tmp_path))

    assert code == 1
    assert "-A dossier went on; StageStarted of the receiver follows." in output
    assert "+A dossier changed hands; StageStarted of the receiver follows." in output
    assert "run `lienthong contracts`" in output


def test_the_command_refuses_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    code, output = _run("--in", str(tmp_path))

    assert code == 1
    assert "is no checkout of Lienthong: name one with --in." in output


def test_the_printed_document_is_the_committed_one() -> None:
    code, output = _run("--print")

    assert code == 0
    assert json.loads(output) == json.loads((REPOSITORY / documents.FOLDER / "asyncapi.json").read_text("utf-8"))
