"""What is known of all messages, in memory: lists must not read the disk."""

import bisect
import unicodedata
from dataclasses import dataclass

from deploy.mail.folder import MessageId
from deploy.mail.letters import Summary


@dataclass(frozen=True, slots=True)
class Listed:
    """A message with the number of arrivals of its Message-ID, itself included."""

    summary: Summary
    arrivals: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, newest first. `before` continues the list, or is None at its end."""

    messages: tuple[Listed, ...]
    before: MessageId | None


class Index:
    """Summaries by arrival."""

    def __init__(self) -> None:
        self._ids: list[MessageId] = []
        self._summaries: dict[MessageId, Summary] = {}
        self._arrivals: dict[str, list[MessageId]] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, summary: Summary) -> None:
        """Know one more message; almost always the newest, but the clock may have been set back."""
        bisect.insort(self._ids, summary.id)
        self._summaries[summary.id] = summary
        if summary.message_id:
            self._arrivals.setdefault(summary.message_id, []).append(summary.id)

    def get(self, name: MessageId) -> Listed | None:
        """One message."""
        summary = self._summaries.get(name)
        return None if summary is None else self._listed(summary)

    def arrivals_of(self, message_id: str) -> tuple[Summary, ...]:
        """Every arrival of a Message-ID, in order."""
        return tuple(self._summaries[name] for name in self._arrivals.get(message_id, ()))

    def page(self, *, to: str = "", subject: str = "", before: MessageId = "", limit: int) -> Page:
        """Up to `limit` messages that arrived before `before`, with `to` in a recipient and `subject` in the subject.

        Letters' case does not matter, tone marks do.
        """
        at = bisect.bisect_left(self._ids, before) if before else len(self._ids)
        recipient, words = _folded(to), _folded(subject)
        found: list[Listed] = []
        while at > 0 and len(found) <= limit:
            at -= 1
            summary = self._summaries[self._ids[at]]
            if words and words not in _folded(summary.subject):
                continue
            if recipient and not any(recipient in _folded(one) for one in summary.recipients):
                continue
            found.append(self._listed(summary))
        shown = tuple(found[:limit])
        return Page(shown, shown[-1].summary.id if len(found) > limit else None)

    def _listed(self, summary: Summary) -> Listed:
        return Listed(summary, len(self._arrivals.get(summary.message_id, ())) or 1)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
