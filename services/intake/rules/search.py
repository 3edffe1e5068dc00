"""What somebody who searches means: words, however they were typed."""

from __future__ import annotations

import unicodedata


def words_of(text: str) -> list[str]:
    """The words of a search, composed (NFC) and at most ten; tone marks and case are the store's affair."""
    return unicodedata.normalize("NFC", text).replace("\x00", " ").split()[:10]
