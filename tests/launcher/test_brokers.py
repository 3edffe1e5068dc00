"""How many brokers Kafka consists of is a number of the layout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deploy.launcher.kafka import configuration, data_of
from deploy.launcher.layout import Layout


def test_one_broker_is_where_it_always_was() -> None:
    layout = Layout(Path("/srv/var"), 8080)

    assert layout.kafka_servers == "127.0.0.1:8087"
    assert data_of(layout, "kafka") == Path("/srv/var/kafka/data")
    assert len(layout.ports) == 12


def test_three_brokers_vote_together_and_what_is_acknowledged_lies_on_two() -> None:
    layout = replace(Layout(Path("/srv/var"), 8080), brokers=3)

    settings = [_settings(layout, broker) for broker in layout.broker_names]

    assert layout.kafka_servers == "127.0.0.1:8087,127.0.0.1:8092,127.0.0.1:8094"
    assert {one["controller.quorum.voters"] for one in settings} == {
        "1@127.0.0.1:8088,2@127.0.0.1:8093,3@127.0.0.1:8095"
    }
    assert [one["node.id"] for one in settings] == ["1", "2", "3"]
    assert len({one["log.dirs"] for one in settings}) == 3
    assert {(one["default.replication.factor"], one["min.insync.replicas"]) for one in settings} == {("3", "2")}


def _settings(layout: Layout, broker: str) -> dict[str, str]:
    lines = configuration(layout, data_of(layout, broker), broker).splitlines()
    return dict(line.split("=", 1) for line in lines)
