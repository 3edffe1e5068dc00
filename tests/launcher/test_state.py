import os
import subprocess
import sys
from dataclasses import replace

import pytest

from deploy.launcher import postgres, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import Layout
from deploy.launcher.servers import end_all
from deploy.launcher.state import Entry, State


def myself(name: str = "me") -> Entry:
    entry = state.entry_of(name, os.getpid())
    assert entry is not None
    return entry


def test_a_process_is_known_by_its_pid_and_its_birth() -> None:
    assert state.is_alive(myself())


def test_a_pid_that_was_given_to_a_later_process_is_not_taken_for_the_former() -> None:
    stale = replace(myself(), birth="another-boot:1")

    assert not state.is_alive(stale)


def test_a_process_that_ended_is_dead_also_while_nobody_has_waited_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        entry = state.entry_of("child", child.pid)
        assert child.stdout is not None
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert entry is None or not state.is_alive(entry)


def test_what_is_written_is_read_again(place: Layout) -> None:
    written = State(supervisor=myself("supervisor"), children=(myself("kafka"),), stage="running", ready=True)

    state.write(place, written)

    assert state.read(place) == written


@pytest.mark.parametrize("text", ["", "{", "[]", '{"supervisor": 1}'])
def test_a_damaged_state_file_counts_as_none(place: Layout, text: str) -> None:
    place.run.mkdir(parents=True)
    (place.run / "state.json").write_text(text)

    assert state.read(place) == State()


def test_a_lock_is_held_by_one_at_a_time(place: Layout) -> None:
    with state.held(place, "it") as first, state.held(place, "it", wait=False) as second:
        assert first
        assert not second

    with state.held(place, "it", wait=False) as third:
        assert third


async def test_a_stranger_who_got_a_former_child_s_pid_is_left_alone(place: Layout) -> None:
    state.write(place, State(children=(replace(myself("postgres"), birth="another-boot:1"),)))

    assert await end_all(place) == []
    assert state.read(place) == State()


def test_a_postmaster_pid_that_belongs_to_a_stranger_now_is_removed(place: Layout) -> None:
    data = place.postgres / "data"
    data.mkdir(parents=True)
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n")

    postgres.forget_stale_pid(place)

    assert not (data / "postmaster.pid").exists()


def test_a_server_on_our_data_that_we_did_not_start_is_named(place: Layout) -> None:
    data = place.postgres / "data"
    data.mkdir(parents=True)
    command = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()", str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        (data / "postmaster.pid").write_text(f"{server.pid}\n")

        with pytest.raises(LaunchError, match=rf"pid {server.pid}.*stop it"):
            postgres.forget_stale_pid(place)

        server.kill()


def test_data_of_another_version_of_postgresql_is_told_with_what_to_do(place: Layout) -> None:
    data = place.postgres / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")

    with pytest.raises(LaunchError, match=r"made by PostgreSQL 17, this is 18: .*pg_dump"):
        postgres.check_version(data)
