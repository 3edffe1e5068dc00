"""The register of erasures: what was written stays, what was torn is cut, what is damaged is said."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.seal import DataKey, Erasure, KeyErased, Keyring, Register, RegisterError, make_keys, new_data_key

WHEN = datetime(2019, 6, 3, 1, 30, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "erasures" / "register.jsonl"


def an_erasure(dossier: str = "lan", *, event: str = "e-1") -> Erasure:
    return Erasure(dossier, event, 5, 2, WHEN, "asked_by_citizen", "head-1")


def test_what_is_kept_is_there_for_whoever_opens_the_file(file: Path) -> None:
    assert Register(file).keep([an_erasure(), an_erasure("binh")]) == 2

    assert list(Register(file).erasures().values()) == [an_erasure(), an_erasure("binh")]
    assert Register(file).holds("lan")
    assert not Register(file).holds("an")


def test_an_absent_file_is_an_empty_register(file: Path) -> None:
    assert dict(Register(file).erasures()) == {}
    assert not file.parent.exists(), "looking makes nothing"


def test_what_is_there_is_not_written_again(file: Path) -> None:
    register = Register(file)
    register.keep([an_erasure()])

    assert register.keep([an_erasure(event="e-2"), an_erasure("binh")]) == 1
    assert Register(file).erasures()["lan"].event == "e-1"


def test_one_who_has_read_before_sees_what_another_has_written_since(file: Path) -> None:
    reader, writer = Register(file), Register(file)
    assert not reader.holds("lan")

    writer.keep([an_erasure()])
    assert reader.holds("lan")
    writer.keep([an_erasure("binh")])

    assert reader.holds("binh")


def test_a_line_whose_writer_was_killed_is_no_line_and_is_cut_by_the_next(file: Path) -> None:
    register = Register(file)
    register.keep([an_erasure()])
    with file.open("ab") as torn:
        torn.write(b'{"dossier": "binh", "ev')

    assert list(register.erasures()) == ["lan"]
    register.keep([an_erasure("an")])

    assert list(Register(file).erasures()) == ["lan", "an"]
    assert file.read_bytes().count(b"\n") == 2


def test_a_damaged_line_is_said_and_nothing_is_written_behind_it(file: Path) -> None:
    Register(file).keep([an_erasure()])
    with file.open("ab") as spoiled:
        spoiled.write(b"\x00\x00\x00\n")
    before = file.read_bytes()

    with pytest.raises(RegisterError, match="restore its newest copy"):
        Register(file).holds("lan")
    with pytest.raises(RegisterError):
        Register(file).keep([an_erasure("binh")])

    assert file.read_bytes() == before


def test_a_file_that_took_the_place_of_another_is_read_from_its_beginning(file: Path) -> None:
    register = Register(file)
    register.keep([an_erasure()])
    other = Register(file.with_name("other"))
    other.keep([an_erasure("binh")])

    other.file.replace(file)

    assert list(register.erasures()) == ["binh"]


def test_what_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "erasures").write_text("no folder")

    with pytest.raises(RegisterError, match="give it"):
        Register(tmp_path / "erasures" / "register.jsonl").keep([an_erasure()])


def test_lines_that_a_newer_release_wrote_are_read(file: Path) -> None:
    Register(file).keep([an_erasure()])
    file.write_bytes(file.read_bytes().replace(b'"dossier"', b'"witness":"head-2","dossier"'))

    assert Register(file).holds("lan")


def test_the_register_is_for_its_owner_alone(file: Path) -> None:
    Register(file).keep([an_erasure()])

    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def _keep_a_hundred(file: Path, who: int) -> None:
    register = Register(file)
    for number in range(100):
        register.keep([an_erasure(f"{who}-{number}"), an_erasure(f"both-{number}")])


def test_processes_that_write_at_the_same_time_lose_nothing_and_double_nothing(file: Path) -> None:
    processes = multiprocessing.get_context("spawn")
    writers = [processes.Process(target=_keep_a_hundred, args=(file, who)) for who in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()

    lines = file.read_bytes().splitlines()
    assert [one.exitcode for one in writers] == [0, 0, 0]
    assert len(lines) == len(Register(file).erasures()) == 400


def test_a_keyring_opens_nothing_for_whom_the_register_names(file: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    register = Register(file)
    intake = Keyring.load(tmp_path / "keys", "intake", register)
    notification = Keyring.load(tmp_path / "keys", "notification", Register(file))
    wrapped = {who: intake.wrap(new_data_key(who), ("intake", "notification")) for who in ("lan", "binh")}
    assert isinstance(notification.unwrap("lan", wrapped["lan"]), DataKey)

    register.keep([an_erasure("lan")])

    assert intake.unwrap("lan", wrapped["lan"]) == notification.unwrap("lan", wrapped["lan"]) == KeyErased()
    assert isinstance(notification.unwrap("binh", wrapped["binh"]), DataKey)
