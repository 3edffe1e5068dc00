"""Settings come from the environment, then from files of secrets; what is missing is said in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.intake.settings import Settings
from shared.settings import read

_URL = "postgresql://intake:a-password@db:5432/intake"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("DATABASE_URL_INTAKE", raising=False)
    monkeypatch.setenv("HTTP_PORT", "8081")
    monkeypatch.setenv("SEAL_KEYS", "/keys")
    monkeypatch.setenv("ERASURE_REGISTER", "/erasures/register.jsonl")
    return monkeypatch


def test_what_the_environment_does_not_name_is_read_from_a_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "database_url_intake").write_text(f"{_URL}\n")

    assert str(read(Settings, tmp_path).database_url_intake) == _URL


def test_the_environment_wins_over_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "database_url_intake").write_text("postgresql://intake:old@db:5432/intake")
    environment.setenv("DATABASE_URL_INTAKE", _URL)

    assert str(read(Settings, tmp_path).database_url_intake) == _URL


def test_what_is_missing_is_said_with_where_to_put_it(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        read(Settings, tmp_path / "absent")

    assert str(refused.value) == (
        "✗ DATABASE_URL_INTAKE is not set: name it in the environment, or put it into "
        f"{tmp_path / 'absent' / 'database_url_intake'}."
    )


def test_what_is_wrong_is_said_without_its_value(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "database_url_intake").write_text("mysql://intake:a-password@db/intake")
    environment.setenv("HTTP_PORT", "eighty")

    with pytest.raises(SystemExit) as refused:
        read(Settings, tmp_path)

    said = str(refused.value)
    assert [line.split(" is ")[0] for line in said.splitlines()] == ["✗ HTTP_PORT", "✗ DATABASE_URL_INTAKE"]
    assert "a-password" not in said
    assert "eighty" not in said
