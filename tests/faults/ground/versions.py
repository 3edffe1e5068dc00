"""How far every service is, read in its store: what it has said and sent, and what it has heard of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.flow.river import River

_SAID: Final = "SELECT subject, version FROM stream WHERE version > 0"
_HEARD: Final = "SELECT subject, version FROM heard WHERE source = $1"
_UNSENT: Final = "SELECT aggregateid AS subject, min(version) - 1 AS version FROM outbox WHERE topic IS NULL GROUP BY 1"
_CONTACTS_SAID: Final = "SELECT aggregateid AS subject, version FROM snapshot"
_CONTACTS_KEPT: Final = "SELECT dossier AS subject, version FROM contact"

HEARERS: Final = {
    "intake": ("routing", "notification", "reporting"),
    "routing": ("intake", "notification", "reporting"),
    "notification": ("intake", "reporting"),
}
"""Who hears a speaker, as docs/delivery.md says."""


@dataclass(frozen=True, slots=True)
class Versions:
    """By subject, the highest version of this or that."""

    river: River

    async def sent_by(self, source: str) -> dict[str, int]:
        """By subject how much a speaker has said and sent."""
        said = await self.said_by(source)
        return {**said, **await self._of(source, _UNSENT)}

    async def said_by(self, source: str) -> dict[str, int]:
        """By subject how much a speaker has said, sent or not."""
        return await self._of(source, _SAID)

    async def heard_by(self, hearer: str, source: str) -> dict[str, int]:
        """By subject how much a hearer has heard of a speaker."""
        return await self._of(hearer, _HEARD, source)

    async def contacts_said(self) -> dict[str, int]:
        """By subject the version of the contact that intake sealed last."""
        return await self._of("intake", _CONTACTS_SAID)

    async def contacts_kept(self) -> dict[str, int]:
        """By subject the version of the contact that notification has."""
        return await self._of("notification", _CONTACTS_KEPT)

    async def missing(self) -> dict[tuple[str, str], int]:
        """(speaker, hearer), and how many versions that were said and sent the second has not heard of the first.

        Contacts on their compacted topic are counted with intake's.
        """
        found: dict[tuple[str, str], int] = {}
        for source, hearers in HEARERS.items():
            sent = await self.sent_by(source)
            for hearer in hearers:
                heard = await self.heard_by(hearer, source)
                found[source, hearer] = sum(max(0, version - heard.get(one, 0)) for one, version in sent.items())
        said, kept = await self.contacts_said(), await self.contacts_kept()
        found["intake", "notification"] += sum(kept.get(one, 0) < version for one, version in said.items())
        return {pair: count for pair, count in found.items() if count}

    async def _of(self, service: str, query: str, *given: str) -> dict[str, int]:
        async with self.river.store(service) as store:
            return {row["subject"]: row["version"] for row in await store.fetch(query, *given)}
