import subprocess
import sys

import pytest

from deploy import bootstrap
from deploy.launcher.layout import REPOSITORY


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("error: Failed to fetch: `x`\n  Caused by: dns error", "check the network"),
        ("ERROR: ... NewConnectionError('<pip._vendor ...>: Failed to establish", "check the network"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("error: Hash mismatch for `rich==15.0.0`", "is not the file that the lock names"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "is not the file that the lock names"),
        ("error: something unheard of", "something unheard of"),
    ],
)
def test_a_tool_that_fails_is_told_with_what_to_do(output: str, sentence: str) -> None:
    assert sentence in bootstrap.reason("uv", output)


def test_an_old_python_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))

    assert bootstrap.main([]) == 1

    assert "Python 3.9" in capsys.readouterr().err


def test_what_decides_the_installation_decides_the_stamp() -> None:
    assert bootstrap.digest("plain") != bootstrap.digest("dev")
    assert bootstrap.digest("dev") == bootstrap.digest("dev")


def test_the_bootstrap_uses_the_standard_library_alone() -> None:
    code = "import sys; sys.path.insert(0, 'deploy'); import bootstrap; print(bootstrap.UV_LOCK.exists())"

    done = subprocess.run([sys.executable, "-ISc", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert done.stdout == "True\n"


def test_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["--frob"]) == 2
    assert "usage" in capsys.readouterr().err
