"""AsyncAPI's own parser reads the document. `make test` installs it where there is node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.contracts.asyncapi import document
from deploy.parser import FOLDER
from shared.topics import TOPICS
from tests.architecture.tree import REPOSITORY

Check = Callable[[Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check() -> Check:
    """Reads a file. Without node this is skipped; in CI, where there is node, the parser has to be installed."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the PATH: AsyncAPI's own parser runs on node 20 or newer")
    if not (FOLDER / "node_modules").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("AsyncAPI's parser is not installed: make parser")
        pytest.skip("AsyncAPI's parser is not installed: make parser")

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [node, FOLDER / "check.js", path], capture_output=True, text=True, check=False, timeout=120
        )

    return run


def test_the_document_is_valid_and_says_all(check: Check) -> None:
    done = check(REPOSITORY / "docs" / "contracts" / "asyncapi.json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["channels"] == [topic.name for topic in TOPICS]
    assert len(told["messages"]) == len(document()["components"]["messages"])
    assert told["examples"] >= len(told["messages"])


def test_a_document_that_names_a_message_which_its_channel_has_not_is_refused(check: Check, tmp_path: Path) -> None:
    broken = document()
    del broken["channels"]["routingDossier"]["messages"]["HandedOver"]
    (tmp_path / "broken.json").write_text(json.dumps(broken), encoding="utf-8")

    done = check(tmp_path / "broken.json")

    assert done.returncode == 1
    assert "HandedOver" in done.stderr


def test_the_parser_s_lock_names_no_host() -> None:
    lock = (FOLDER / "package-lock.json").read_text(encoding="utf-8")

    assert "://" not in lock
    assert '"integrity": "sha512-' in lock
