"""The folder of secrets for containers: made once, whole, never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.containers import make_secrets


def test_secrets_are_made_once_and_then_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"

    assert make_secrets.make(folder) == 10
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert make_secrets.make(folder) == 0

    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert len(set(before.values())) == 10
    assert before["postgres_password"] in before["database_superuser_url"]


def test_others_on_the_machine_cannot_enter_and_a_container_can_read(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets.make(folder)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_a_lost_login_is_made_anew_and_half_of_the_superuser_s_pair_is_refused(tmp_path: Path) -> None:
    make_secrets.make(tmp_path)
    (tmp_path / "database_url_intake").unlink()
    assert make_secrets.make(tmp_path) == 1

    (tmp_path / "database_superuser_url").unlink()
    with pytest.raises(ValueError, match="both hold the same password"):
        make_secrets.make(tmp_path)
