import os
import socket
from pathlib import Path

import pytest

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, Layout
from deploy.launcher.ports import refuse_busy, refuse_full_disk


def test_a_busy_port_is_told_with_its_holder_and_another_range() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        layout = Layout(Path("unused"), port - 7)

        with pytest.raises(LaunchError) as told:
            refuse_busy(layout, ["kafka"])

    assert f"Port {port}, meant for kafka, is in use by" in str(told.value)
    assert f"(pid {os.getpid()})" in str(told.value)
    assert "LIENTHONG_PORT=" in str(told.value)


def test_a_port_that_was_just_left_is_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)), server.accept()[0]:
            pass

    refuse_busy(Layout(Path("unused"), port), ["door"])


def test_too_small_a_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="GB are needed: free some"):
        refuse_full_disk(tmp_path / "not" / "yet", 10**18)

    assert list(tmp_path.iterdir()) == []
