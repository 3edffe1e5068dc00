"""Events, topics, settings, logs and documents: what is written twice says the same."""

from __future__ import annotations

import importlib
import re
import shlex
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from deploy.cli import build
from deploy.contracts.speech import speech_of
from shared.bus import Hearer
from shared.events import ContactGiven, Event, every_event
from shared.settings import ServiceSettings
from shared.topics import CONTACT, TOPIC_OF, TOPICS, Service
from tests.architecture.tree import REPOSITORY, SERVICES, functions, log_calls, name_of, python_files

_LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)([^)#\s]+)")
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _hearers() -> dict[str, Hearer]:
    """What each service hears, from its own table."""
    found = {}
    for service in SERVICES:
        handlers = importlib.import_module(f"services.{service}.handlers")
        make = handlers.hearer
        arguments = make.__code__.co_varnames[: make.__code__.co_argcount]
        found[service] = make(*(None for _ in arguments))
    return found


@pytest.mark.parametrize("event", every_event().values(), ids=lambda event: event.__name__)
def test_an_event_s_docstring_names_its_speaker_and_exactly_its_hearers(event: type[Event]) -> None:
    said = speech_of(event)
    hearers = {service for service, hearer in _hearers().items() if event in hearer.types}

    assert said.speaker is event.said_by
    assert {service.value for service in said.hearers} == hearers
    assert hearers, "an event that nobody hears is not said"


def test_the_contact_s_docstring_names_exactly_its_hearers() -> None:
    hearers = {service for service, hearer in _hearers().items() if CONTACT in hearer.states}

    assert {service.value for service in speech_of(ContactGiven).hearers} == hearers


def test_every_event_that_is_said_is_said_by_its_speaker_alone() -> None:
    for name, event in every_event().items():
        speaking = {
            name_of(path).split("/")[1]
            for path in python_files("services")
            if re.search(rf"(?<!\w){name}\(", path.read_text(encoding="utf-8"))
        }

        # deadlines are said through a table of classes
        assert speaking <= {event.said_by.value}, name


def test_every_speaker_has_one_topic_and_topics_are_named_once() -> None:
    assert set(TOPIC_OF) == set(Service) - {Service.REPORTING}
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    literal = [
        name_of(path)
        for path in python_files("services", "deploy", "shared")
        if name_of(path) != "shared/topics.py"
        and any(f'"{topic.name}"' in path.read_text(encoding="utf-8") for topic in TOPICS)
    ]
    assert literal == []


def test_every_setting_is_in_the_example_of_an_environment() -> None:
    known = {
        line.split("=")[0].lstrip("# ")
        for line in (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
        if "=" in line
    }

    for service in SERVICES:
        settings: type[ServiceSettings] = importlib.import_module(f"services.{service}.settings").Settings
        assert {name.upper() for name in settings.model_fields} <= known, service


def test_every_log_event_is_in_the_catalogue_and_the_reverse() -> None:
    catalogue = set(
        re.findall(r"^\| `(\w+)` \|", (REPOSITORY / "docs" / "log-events.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    logged = {event for path in python_files("shared", "services", "deploy") for event, _ in log_calls(path)}

    assert logged - {""} == catalogue


def test_every_metric_is_in_the_catalogue_with_its_unit_and_the_reverse() -> None:
    catalogue = dict(
        re.findall(
            r"^\| `([a-z_.]+)` \| (\S+) \|",
            (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    told: dict[str, str] = {}
    for path in python_files("shared", "services", "deploy"):
        text = path.read_text(encoding="utf-8")
        told |= dict(re.findall(r'telemetry\.(?:count|stands)\(\s*"([a-z_.]+)",\s*"([^"]+)"', text))
        told |= dict.fromkeys(re.findall(r'telemetry\.took\(\s*"([a-z_.]+)"', text), "s")

    assert told == catalogue


def test_log_events_are_plain_names() -> None:
    odd = [
        f"{name_of(path)}:{line}"
        for path in python_files("shared", "services", "deploy")
        for event, line in log_calls(path)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", event)
    ]

    assert odd == []


def test_every_link_in_the_documents_works() -> None:
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    broken = [
        f"{name_of(document)}: {target}"
        for document in documents
        for target in _LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]

    assert documents
    assert broken == []


def test_every_make_target_that_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    named = {
        target
        for document in documents
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert {"up", "test", "docs"} <= named <= targets


def _shown_commands() -> list[tuple[str, list[str]]]:
    """The `lienthong` commands in the documents' blocks of shell, with the document that shows them."""
    documents = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    return [
        (name_of(document), shlex.split(line, comments=True)[1:])
        for document in documents
        for block in _BLOCK.findall(document.read_text(encoding="utf-8").replace("```\n.venv", "```sh\n.venv"))
        for line in block.splitlines()
        if line.startswith(".venv/bin/lienthong ")
    ]


@pytest.mark.parametrize(("document", "words"), _shown_commands(), ids=lambda it: it if isinstance(it, str) else it[0])
def test_every_command_that_documents_show_is_one(document: str, words: list[str]) -> None:
    assert _misused(words) == "", document


def test_a_command_that_is_none_would_be_found() -> None:
    assert "No such command" in _misused(["dead-letter", "list"])
    assert "unexpected extra argument" in _misused(["parked", "list", "routing"])
    assert "No such option" in _misused(["republish", "intake", "--everything"])


def _misused(words: list[str]) -> str:
    """What `lienthong` would complain of; nothing is carried out."""
    command: Any = typer.main.get_command(build())
    context: Any = None
    try:
        while hasattr(command, "commands"):
            context = command.make_context(command.name, list(words), parent=context)
            _, command, words = command.resolve_command(context, list(words))
        command.make_context(command.name, list(words), parent=context)
    except TyperException as error:
        return f"{error}"
    return ""


def test_documents_show_commands() -> None:
    assert {"README.md", "docs/run.md", "docs/operate.md"} <= {document for document, _ in _shown_commands()}


def test_decision_records_are_numbered_sentences() -> None:
    records = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))

    # A number is taken once and stays; blocks of them are given to work that goes on side by side.
    numbers = [int(record.name[:4]) for record in records]
    assert len(set(numbers)) == len(numbers), "two records have one number"
    assert [number for number in numbers if number < 13] == list(range(1, 13)), "a record is never taken away"


def test_the_services_are_listed_in_the_river_s_order() -> None:
    assert [service.value for service in Service] == list(SERVICES)
    assert functions(REPOSITORY / "deploy" / "migrate.py") == {"migrate_all", "migrate_one"}
