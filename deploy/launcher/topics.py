"""Topics: made once, never by accident, kept for ever; only what passes on the topic of control is forgotten soon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.launcher.errors import LaunchError
from shared.topics import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.topics import Topic

_ALREADY_THERE = 36


async def create(servers: str, topics: Iterable[Topic]) -> None:
    """Create what is missing; a second call changes nothing.

    Retention is unlimited: Kafka is a cache of the journals, but a cache that forgets by age makes every new hearer a
    republishing. Raises LaunchError for a topic that has another number of partitions (a subject would change its
    partition and lose its order) and when the broker refuses.
    """
    wanted = {topic.name: topic for topic in topics}
    client: Any = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        await client.start()
        brokers = len((await client.describe_cluster())["brokers"])
        there = {each["topic"]: len(each["partitions"]) for each in await client.describe_topics()}
        for name in wanted.keys() & there.keys():
            if there[name] != wanted[name].partitions:
                raise LaunchError(
                    f"Topic {name} has {there[name]} partitions and should have {wanted[name].partitions}: delete it "
                    "and start again; `lienthong republish` fills it anew from the journal."
                )
        missing = [_new(topic, brokers) for name, topic in wanted.items() if name not in there]
        if missing:
            told = await client.create_topics(missing)
            for name, code, *why in told.topic_errors:
                if code not in {0, _ALREADY_THERE}:
                    raise LaunchError(f"Kafka does not create topic {name}: {why or code}.")
    except (KafkaError, OSError) as error:
        raise LaunchError(f"Kafka at {servers} does not answer as it should: {error!r}.") from error
    finally:
        await client.close()


def _new(topic: Topic, brokers: int) -> Any:
    new: Any = NewTopic  # untyped in aiokafka
    return new(topic.name, topic.partitions, min(3, brokers), topic_configs=settings_of(topic))
