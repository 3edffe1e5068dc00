import hashlib
import re
from pathlib import Path

import pytest

from deploy.launcher import artifacts, java
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import REPOSITORY


def a_lock(folder: Path, content: bytes) -> Path:
    lock = folder / "artifacts.lock"
    lock.write_text(f"kafka org.example:it:1.0 {hashlib.sha256(content).hexdigest()}\n")
    return lock


def test_a_jar_that_is_there_and_is_the_locked_one_is_used_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "it-1.0.jar").write_bytes(b"the jar")

    found = artifacts.fetch("kafka", tmp_path, lambda _: None, a_lock(tmp_path, b"the jar"))

    assert found == (tmp_path / "it-1.0.jar",)


def test_a_jar_that_differs_from_the_lock_is_named_deleted_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "it-1.0.jar").write_bytes(b"another jar")

    with pytest.raises(LaunchError, match=r"it-1\.0\.jar is not the file that artifacts\.lock names.*start again"):
        artifacts.fetch("kafka", tmp_path, lambda _: None, a_lock(tmp_path, b"the jar"))

    assert not (tmp_path / "it-1.0.jar").exists()


def test_without_a_way_to_the_repository_one_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with pytest.raises(LaunchError, match="check the network"):
        artifacts.fetch("kafka", tmp_path, lambda _: None, a_lock(tmp_path, b"the jar"))

    assert [path.name for path in tmp_path.iterdir()] == ["artifacts.lock"]


def test_a_broken_line_in_the_lock_is_shown(tmp_path: Path) -> None:
    lock = tmp_path / "artifacts.lock"
    lock.write_text("kafka org.example:it:1.0 abc\n")

    with pytest.raises(LaunchError, match="broken line"):
        artifacts.read_lock(lock)


def test_the_lock_holds_kafka_whole_and_postgresql_for_every_platform() -> None:
    jars = artifacts.read_lock()

    assert {jar.part for jar in jars} == {"kafka", *(f"postgres-{name}" for name in artifacts.POSTGRES_PLATFORMS)}
    assert set(artifacts.KAFKA_ROOTS) <= {jar.coordinate for jar in jars}
    assert len({jar.file for jar in jars}) == len(jars)


@pytest.mark.parametrize("lock", [artifacts.LOCK, java.LOCK, REPOSITORY / "deploy" / "tools.lock"])
def test_no_lock_names_a_host(lock: Path) -> None:
    assert not re.search(r"https?:|[a-z0-9-]+\.(io|org|com|net)/", lock.read_text())


@pytest.mark.parametrize(
    ("system", "machine", "part"),
    [
        ("Linux", "x86_64", "postgres-linux-amd64"),
        ("Linux", "aarch64", "postgres-linux-arm64v8"),
        ("Darwin", "x86_64", "postgres-darwin-amd64"),
        ("Darwin", "arm64", "postgres-darwin-arm64v8"),
    ],
)
def test_each_platform_has_its_binaries(system: str, machine: str, part: str) -> None:
    assert artifacts.postgres_part(system, machine) == part


@pytest.mark.parametrize(("system", "machine"), [("Linux", "riscv64"), ("Windows", "AMD64")])
def test_a_platform_without_binaries_is_told_what_to_do(system: str, machine: str) -> None:
    with pytest.raises(LaunchError, match="DATABASE_URL"):
        artifacts.postgres_part(system, machine)
