"""Events, topics, settings, logs and documents: what is written twice says the same."""

from __future__ import annotations

import importlib
import re

import pytest

from shared.bus import Hearer
from shared.events import TOPIC_OF, TOPICS, Event, Service, every_event
from shared.settings import ServiceSettings
from tests.architecture.tree import REPOSITORY, SERVICES, functions, log_calls, name_of, python_files

_LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)([^)#\s]+)")
_SAYS = re.compile(r"(Intake|Routing|Notification) says it; (.+?) hears? it\.$")


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
    said = _SAYS.search((event.__doc__ or "").strip())
    hearers = {service for service, hearer in _hearers().items() if event in hearer.types}

    assert said is not None, "the docstring's last sentence is '… says it; … hear it.'"
    assert said[1].lower() == event.said_by.value
    others = [name for name in SERVICES if name != event.said_by.value]
    named = set(others) if said[2] == "the other three" else set(re.split(r", | and ", said[2]))
    assert named == hearers
    assert hearers, "an event that nobody hears is not said"


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
        if name_of(path) != "shared/events.py"
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
        for target in re.findall(r"`make ([a-z-]+)", document.read_text(encoding="utf-8"))
    }

    assert named <= targets


def test_decision_records_are_numbered_sentences() -> None:
    records = sorted((REPOSITORY / "docs" / "decisions").glob("*.md"))

    numbers = [int(record.name[:4]) for record in records]
    assert len(numbers) == len(set(numbers))


def test_the_services_are_listed_in_the_river_s_order() -> None:
    assert [service.value for service in Service] == list(SERVICES)
    assert functions(REPOSITORY / "deploy" / "migrate.py") == {"migrate_all", "migrate_one"}
