"""Kafka in KRaft mode, one broker or several: configuration, storage, how each starts and when it is ready."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.launcher import artifacts, java
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, controller_of
from deploy.launcher.process import Program, tail

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.launcher.layout import Layout
    from deploy.launcher.progress import Progress

STOP_PATIENCE = 30
# A record of 10 MB with its headers and the batch around it.
RECORD_BYTES = 12 * 1024 * 1024
# Loggers that write several lines per partition and start, and nothing that an operator acts upon.
_QUIET = (
    "kafka.cluster.Partition",
    "kafka.server.KafkaConfig",
    "org.apache.kafka.common.config",
    "org.apache.kafka.common.utils",
    "org.apache.kafka.storage.internals.log",
    "state.change.logger",
)


def prepare(layout: Layout, progress: Progress) -> dict[str, Program]:
    """Fetch the jars, find Java, format the storage if it is new: each broker by its name, ready to be started.

    Raises LaunchError (network, disk, Java, a jar that is not the locked one, storage that is not ours).
    """
    with progress.step("Kafka: jars") as shown, artifacts.alone(layout.jars, shown):
        jars = artifacts.fetch(artifacts.KAFKA, layout.jars / "kafka", lambda text: shown(f"Kafka: {text}"))
        runtime = java.find(layout, os.environ, shown)
    java_with = (str(runtime), *_options(layout), "-cp", os.pathsep.join(map(str, jars)))
    layout.kafka.mkdir(parents=True, exist_ok=True)
    if not data_of(layout, "kafka").exists():
        with progress.step("Kafka: new storage"):
            # Kafka's own spelling of a UUID; its tools take a leading dash for an option.
            identity = "L" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
            for broker in reversed(layout.broker_names):  # the first comes last: when it is there, all are
                _format(layout, broker, java_with, identity)
    return {broker: _program(layout, broker, java_with) for broker in layout.broker_names}


def _program(layout: Layout, broker: str, java_with: tuple[str, ...]) -> Program:
    data = data_of(layout, broker)
    cluster = cluster_id(data)
    properties = layout.kafka / f"{broker.replace('kafka', 'server', 1)}.properties"
    properties.write_text(configuration(layout, data, broker))
    address = f"{HOST}:{layout.ports[broker]}"

    async def is_ready() -> bool:
        return await answers(address, cluster, brokers=layout.brokers)

    return Program(
        name=broker,
        command=(*java_with, "kafka.Kafka", str(properties)),
        environment=_environment(),
        is_ready=is_ready,
        port=layout.ports[broker],
        patience=240,
        stop_patience=STOP_PATIENCE,
    )


def data_of(layout: Layout, broker: str) -> Path:
    """Where a broker keeps its logs."""
    return layout.kafka / broker.replace("kafka", "data", 1)


def configuration(layout: Layout, data: Path, broker: str = "kafka") -> str:
    """server.properties of a broker: loopback only, nothing deleted by age, nothing created by accident.

    Of three brokers each keeps everything, and what is acknowledged lies on two of them.
    """
    ports, nodes = layout.ports, {name: number for number, name in enumerate(layout.broker_names, start=1)}
    voters = ",".join(f"{number}@{HOST}:{ports[controller_of(name)]}" for name, number in nodes.items())
    copies = min(3, layout.brokers)
    acknowledged = max(1, copies - 1)
    settings = {
        "process.roles": "broker,controller",
        "node.id": nodes[broker],
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{HOST}:{ports[broker]},CONTROLLER://{HOST}:{ports[controller_of(broker)]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{ports[broker]}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": acknowledged,
        "message.max.bytes": RECORD_BYTES,
        "replica.fetch.max.bytes": RECORD_BYTES,
        "log.retention.ms": -1,
        # The broker's own clock dates records: what a speaker's wrong clock dates an hour ahead would be refused.
        "log.message.timestamp.type": "LogAppendTime",
        # A developer's machine that slept for a month must not hear everything again.
        "offsets.retention.minutes": 10 * 365 * 24 * 60,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": acknowledged,
        "transaction.state.log.num.partitions": 8,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": acknowledged,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000,
        # A killed broker may register again only when its former session has run out: 9 s by default.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
        # What one busy laptop needs: the defaults take 128 MB of the heap and 20 MB of (sparse) index per partition.
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def cluster_id(data: Path) -> str:
    """The identity that the storage was formatted with. Raises LaunchError when it was not."""
    try:
        lines = (data / "meta.properties").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]
    except (OSError, KeyError) as error:
        raise LaunchError(
            f"{data} is not a Kafka storage of ours (no meta.properties). Move it away; what was said is in the "
            "journals of the services, and `lienthong republish` brings it back."
        ) from error


async def answers(servers: str, cluster: str | None = None, *, brokers: int = 1) -> bool:
    """Whether a broker answers at this address, knows of so many, and (if asked) is of this cluster, nobody else's."""
    host, _, port = servers.split(",", 1)[0].rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except (OSError, ValueError):
        return False
    # The client logs a broker that is still starting as an error; here it is what we are waiting for.
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    client: Any = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=5000)
    try:
        await client.start()
        told = await client.describe_cluster()
        return len(told["brokers"]) >= brokers and (cluster is None or told.get("cluster_id") == cluster)
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await client.close()
        logger.setLevel(level)


def _format(layout: Layout, broker: str, java_with: tuple[str, ...], identity: str) -> None:
    """Format beside, then rename: an interrupted first start leaves no half-formatted storage."""
    data = data_of(layout, broker)
    draft = data.with_suffix(".partial")
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(draft, ignore_errors=True)
    properties = layout.kafka / "format.properties"
    properties.write_text(configuration(layout, draft, broker))
    tool = ["kafka.tools.StorageTool", "format", "--cluster-id", identity, "--config", str(properties)]
    log = layout.log(broker)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            [*java_with, *tool],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    properties.unlink()
    if done.returncode != 0:
        raise LaunchError(f"Kafka's storage cannot be formatted; see {log}:\n{tail(log)}")
    draft.rename(data)


def _options(layout: Layout) -> tuple[str, ...]:
    logger = "-Dorg.slf4j.simpleLogger"
    return (
        "-Xms128m",
        # Of several brokers on one machine none needs much.
        "-Xmx512m" if layout.brokers == 1 else "-Xmx320m",
        "-XX:+ExitOnOutOfMemoryError",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={_scratch(layout)}",
        f"{logger}.defaultLogLevel=info",
        f"{logger}.showDateTime=true",
        f"{logger}.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
        *(f"{logger}.log.{name}=warn" for name in _QUIET),
    )


def _scratch(layout: Layout) -> Path:
    # Snappy and zstd unpack their native parts here; /tmp is mounted noexec on hardened machines.
    scratch = layout.kafka / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}
