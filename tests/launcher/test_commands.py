import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli import build
from deploy.commands import running
from deploy.launcher import process, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.process import Program
from deploy.launcher.programs import External, service

cli = CliRunner()


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    return {"LIENTHONG_VAR": str(tmp_path), "LIENTHONG_PORT": "45000"}


def test_status_of_what_does_not_run_says_so_and_fails(elsewhere: dict[str, str]) -> None:
    told = cli.invoke(build(), ["status"], env=elsewhere)

    assert told.exit_code == 1
    assert "does not run" in told.stdout


def test_status_for_programs_is_json(elsewhere: dict[str, str]) -> None:
    told = cli.invoke(build(), ["status", "--json"], env=elsewhere)

    assert told.exit_code == 1
    answer = json.loads(told.stdout)
    assert answer["well"] is False
    assert [process["name"] for process in answer["processes"]] == [
        "postgres", "kafka", "mail", "receiver", *SERVICES, "operations", "door",
    ]  # fmt: skip


def test_down_when_nothing_runs_is_no_failure(elsewhere: dict[str, str]) -> None:
    told = cli.invoke(build(), ["down"], env=elsewhere)

    assert (told.exit_code, told.stdout) == (0, "Nothing runs.\n")


def test_a_wrong_setting_is_one_sentence_and_exit_code_1(elsewhere: dict[str, str]) -> None:
    told = cli.invoke(build(), ["up"], env={**elsewhere, "LIENTHONG_PORT": "door"})

    assert told.exit_code == 1
    assert told.stderr == "✗ LIENTHONG_PORT is 'door': set it to a number from 1024 to 65523.\n"


def test_a_busy_port_is_one_sentence_and_nothing_is_left_behind(elsewhere: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])

        told = cli.invoke(build(), ["up"], env={**elsewhere, "LIENTHONG_PORT": port})

    place = Layout.of(elsewhere)
    assert told.exit_code == 1
    assert told.stderr.startswith(f"✗ Port {port}, meant for door, is in use by ")
    assert state.read(place).failure in told.stderr.strip()
    assert state.read(place).children == ()
    assert not place.postgres.exists()


def test_what_a_killed_supervisor_left_is_ended_by_down(place: Layout, a_program: Callable[..., Program]) -> None:
    place.var.mkdir()
    left = process.start(a_program("left", "mark.touch(); time.sleep(600)"), place)
    state.write(place, state.State(supervisor=replace(left.entry, birth="gone:1"), children=(left.entry,)))

    told = cli.invoke(build(), ["down"], env={"LIENTHONG_VAR": str(place.var)})

    assert "an earlier run was killed; ending what it left: left" in told.stdout
    assert not left.is_alive()
    assert state.read(place) == state.State()


def test_what_stood_in_the_way_last_time_is_not_told_again(elsewhere: dict[str, str]) -> None:
    layout = Layout.of(elsewhere)
    state.write(layout, state.State(failure="Port 8080 is in use"))

    told = cli.invoke(build(), ["up"], env={**elsewhere, "DATABASE_URL_INTAKE": "postgresql://a"})

    assert told.exit_code == 1
    assert state.read(layout).failure in told.stderr
    assert "all four databases or none" in state.read(layout).failure


def test_wrong_usage_is_exit_code_2() -> None:
    assert cli.invoke(build(), ["frob"]).exit_code == 2


def test_some_of_the_four_databases_are_not_enough() -> None:
    with pytest.raises(
        LaunchError, match="all four databases or none: DATABASE_URL_ROUTING, DATABASE_URL_REPORTING is"
    ):
        External.of({"DATABASE_URL_INTAKE": "postgresql://a", "DATABASE_URL_NOTIFICATION": "postgresql://b"})


def test_an_owner_that_is_not_named_is_the_login() -> None:
    urls = {f"DATABASE_URL_{each.upper()}": f"postgresql://{each}" for each in SERVICES}

    external = External.of({**urls, "DATABASE_OWNER_URL_INTAKE": "postgresql://boss"})

    assert external.databases is not None
    assert external.databases.owner["intake"] == "postgresql://boss"
    assert external.databases.owner["routing"] == "postgresql://routing"
    assert external.names == ("postgres",)


def test_a_service_is_given_its_own_database_and_no_other(monkeypatch: pytest.MonkeyPatch, place: Layout) -> None:
    monkeypatch.setenv("DATABASE_URL_INTAKE", "postgresql://from-the-shell")
    urls = {each: f"postgresql://{each}" for each in SERVICES}

    program = service("routing", place, "127.0.0.1:9", Databases(urls, {}))

    given = {key: value for key, value in program.environment.items() if key.startswith("DATABASE")}
    assert given == {"DATABASE_URL_ROUTING": "postgresql://routing"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_ages_are_told_in_one_unit(seconds: float | None, text: str) -> None:
    assert running.duration(seconds) == text
