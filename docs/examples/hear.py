"""Hear what Lienthong says: python hear.py BROKER TOPIC, for example 127.0.0.1:8087 routing.dossier.

Needs aiokafka. Shows the three things that a hearer has to do: keep the last version of each subject, drop what is not
newer, and wait where one is missing. Here the versions live in memory; keep yours in the transaction of what you do.
"""

import asyncio
import json
import sys
from collections import defaultdict

from aiokafka import AIOKafkaConsumer


async def main(broker: str, topic: str) -> None:
    """Read a topic from its beginning, for ever. A group of your own keeps the place between two runs."""
    heard: defaultdict[tuple[str, str], int] = defaultdict(int)
    parked: dict[tuple[str, str, int], tuple[str, object]] = {}
    async with AIOKafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest") as records:
        async for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            stream = (headers["ce_source"], headers["ce_subject"])
            version = int(headers["ce_streamversion"])
            if version <= heard[stream]:
                continue  # heard before: records may come twice
            parked[(*stream, version)] = (headers["ce_type"], json.loads(record.value))
            while (following := (*stream, heard[stream] + 1)) in parked:  # in order, and never over a gap
                kind, event = parked.pop(following)
                heard[stream] += 1
                sys.stdout.write(f"{stream[1]} {heard[stream]} {kind} {json.dumps(event, ensure_ascii=False)}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
