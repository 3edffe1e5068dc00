"""The container files: order, pins, walls, and that nothing is kept by hand twice."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.containers import make_secrets
from deploy.door.addresses import COMMANDS
from deploy.launcher import artifacts
from deploy.launcher.kafka import configuration
from deploy.launcher.layout import Layout
from deploy.sample.says import BANNER_EN, BANNER_VI, SETTINGS
from shared.topics import TOPICS
from tests.architecture.tree import REPOSITORY, SERVICES, name_of

_COMPOSE: Final = REPOSITORY / "docker-compose.yml"
_DEMO: Final = REPOSITORY / "deploy" / "containers" / "demo.yml"
_DOCKERFILE: Final = REPOSITORY / "deploy" / "Dockerfile"
_OURS: Final = ("door", "prepare", *SERVICES)
_VARIABLE: Final = re.compile(r"\$\{(\w+)")
_PUBLISHED: Final = {"door": "${LIENTHONG_BIND:-127.0.0.1}:", "jaeger": "127.0.0.1:", "mailpit": "127.0.0.1:"}
# Where the launcher's broker and compose's stand differently in the world, or one of them says nothing.
_PLACES: Final = {"log.dirs", "listeners", "advertised.listeners", "controller.quorum.voters"}


class _Loader(yaml.SafeLoader):
    """Knows compose's own tag for taking something back."""


_Loader.add_constructor("!reset", lambda *_: None)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    return found


def _services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = _read(_COMPOSE)["services"]
    return found


def _example() -> set[str]:
    lines = (REPOSITORY / ".env.example").read_text(encoding="utf-8").splitlines()
    return {line.split("=")[0].lstrip("# ") for line in lines if "=" in line}


@pytest.mark.parametrize("path", [_COMPOSE, _DEMO], ids=name_of)
def test_compose_lists_the_services_in_the_river_s_order(path: Path) -> None:
    assert [name for name in _read(path)["services"] if name in SERVICES] == list(SERVICES)


@pytest.mark.parametrize("path", [_COMPOSE, _DEMO], ids=name_of)
def test_every_setting_that_compose_uses_is_in_the_example_of_an_environment(path: Path) -> None:
    used = set(_VARIABLE.findall(path.read_text(encoding="utf-8")))
    ours = {
        name
        for service, told in _read(path)["services"].items()
        if service in _OURS
        for name in told.get("environment", {})
    }

    assert used
    assert (used | ours) - _example() == set()


def test_no_container_file_names_a_topic_again() -> None:
    files = [
        _COMPOSE,
        _DOCKERFILE,
        *(path for path in _DEMO.parent.rglob("*") if path.suffix in {".yml", ".yaml", ".py"}),
    ]

    assert [name_of(path) for path in files for topic in TOPICS if topic.name in path.read_text(encoding="utf-8")] == []


def test_images_are_pinned_to_a_version_and_name_no_registry() -> None:
    images = [told["image"] for name, told in _services().items() if name not in _OURS]
    images += re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", _DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(images) == 6
    for image in images:
        name, _, tag = image.partition(":")
        assert re.match(r"v?\d+\.\d+", tag), image
        assert "." not in name.split("/")[0], image


def test_servers_are_of_the_versions_that_the_launcher_runs() -> None:
    broker = next(root.split(":")[2] for root in artifacts.KAFKA_ROOTS if ":kafka_" in root)

    assert _services()["kafka"]["image"] == f"apache/kafka:{broker}"
    assert _services()["postgres"]["image"].startswith(f"postgres:{artifacts.POSTGRES_VERSION.removesuffix('.0')}-")


def test_our_image_has_the_product_s_version() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    named = re.findall(
        r"lienthong:(\d[\w.]*\w)", _COMPOSE.read_text(encoding="utf-8") + _DEMO.read_text(encoding="utf-8")
    )
    named += re.findall(r"^ARG VERSION=(\S+)$", _DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) == {project}


@pytest.mark.parametrize("name", ["door", *SERVICES])
def test_the_demonstration_says_on_every_page_that_it_is_one(name: str) -> None:
    environment = _read(_DEMO)["services"][name]["environment"]

    assert (environment["BANNER_VI"], environment["BANNER_EN"]) == (BANNER_VI, BANNER_EN)


def test_the_demonstration_s_catalogue_is_measured_by_the_same_figure_as_the_sample_s() -> None:
    environment = _read(_DEMO)["services"]["intake"]["environment"]

    assert SETTINGS.items() <= environment.items()


def test_the_front_page_names_commands_that_work_where_it_is() -> None:
    started_by = _services()["door"]["environment"]["DOOR_STARTED_BY"]

    assert started_by == "compose"
    assert all(command.startswith("docker compose ") for command in COMMANDS[started_by])


def test_the_broker_is_set_as_the_launcher_sets_it() -> None:
    layout = Layout.of({})
    launched = dict(line.split("=", 1) for line in configuration(layout, layout.kafka / "data").splitlines())
    contained = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in _services()["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }

    assert contained.keys() <= launched.keys()
    told = contained.keys() - _PLACES
    assert {name: contained[name] for name in told} == {name: launched[name] for name in told}
    assert {"auto.create.topics.enable", "log.retention.ms", "message.max.bytes"} <= told


def test_the_image_installs_only_what_the_locks_name() -> None:
    text = _DOCKERFILE.read_text(encoding="utf-8")
    installing = [line for line in text.splitlines() if re.search(r"pip (install|sync)", line)]

    assert len(installing) == 3
    for line in installing:
        assert "--require-hashes" in line or "--no-index" in line, line
    assert "requirements.lock" in text
    assert "tools.lock" in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), "the last stage does not run as root"


@pytest.mark.parametrize("name", list(_services()))
def test_a_container_is_confined(name: str) -> None:
    told = _services()[name]

    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "restart", "logging"} <= told.keys()
    assert "privileged" not in told
    assert "cap_add" not in told
    assert not any("docker.sock" in str(volume) for volume in told.get("volumes", []))


@pytest.mark.parametrize("name", list(_services()))
def test_only_the_door_is_published_and_what_shows_letters_and_traces_on_the_loopback(name: str) -> None:
    told = _services()[name]
    networks = set(told["networks"])
    inside = {name for name, network in _read(_COMPOSE)["networks"].items() if network.get("internal")}

    assert [port.startswith(_PUBLISHED.get(name, "nowhere")) for port in told.get("ports", [])] == (
        [True] if name in _PUBLISHED else []
    )
    assert networks <= inside or name in {*_PUBLISHED, "notification"}, "no way out for who needs none"


def test_every_secret_is_made_and_used_and_none_is_written_down() -> None:
    declared = _read(_COMPOSE)["secrets"].keys()
    used = {each for told in _services().values() for each in told.get("secrets", [])}

    assert declared == make_secrets.wanted("").keys() == used
    for service in SERVICES:
        assert _services()[service]["secrets"] == [f"database_url_{service}"], "its own database and no other"
    assert "postgresql://" not in _COMPOSE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["door", *SERVICES])
def test_health_is_asked_where_the_process_listens(name: str) -> None:
    told = _services()[name]

    port = told["environment"].get("HTTP_PORT") or told["environment"]["DOOR_PORT"]
    assert told["healthcheck"]["test"][-2:] == ["deploy/containers/healthy.py", port]


def _compose_is_here() -> bool:
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not _compose_is_here(), reason="the compose plugin is absent: `docker compose version`")
@pytest.mark.parametrize("files", [[_COMPOSE], [_COMPOSE, _DEMO]], ids=["alone", "demo"])
def test_compose_itself_takes_the_files_without_any_environment(files: list[Path]) -> None:
    arguments = [part for path in files for part in ("-f", str(path))]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    command = ["docker", "compose", "--env-file", os.devnull, *arguments, "config", "--quiet"]
    done = subprocess.run(command, cwd=REPOSITORY, env=kept, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
