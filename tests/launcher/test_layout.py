from pathlib import Path

import pytest

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import PORTS_IN_RANGE, SERVICES, Layout
from shared.topics import Service


def test_twelve_ports_in_a_row_follow_from_the_first() -> None:
    layout = Layout(Path("/srv/lienthong"), 9000)

    assert list(layout.ports.values()) == list(range(9000, 9000 + PORTS_IN_RANGE))
    assert layout.ports["door"] == 9000
    assert layout.ports["postgres"] == 9009
    assert layout.ports["operations"] == 9011
    assert layout.kafka_servers == "127.0.0.1:9007"


def test_the_environment_names_folder_and_ports() -> None:
    layout = Layout.of({"LIENTHONG_VAR": "/srv/lienthong", "LIENTHONG_PORT": "9000"})

    assert layout.var == Path("/srv/lienthong")
    assert layout.url("intake") == "http://127.0.0.1:9001"


@pytest.mark.parametrize("port", ["abc", "0", "80", "65524", "-1", "8080 ", "٨٠٨٠"])
def test_a_port_that_is_none_is_told_with_what_to_do(port: str) -> None:
    with pytest.raises(LaunchError, match="set it to a number from 1024 to 65523"):
        Layout.of({"LIENTHONG_PORT": port})


def test_the_launcher_knows_the_services_of_the_events_in_the_river_s_order() -> None:
    assert tuple(Service) == SERVICES
