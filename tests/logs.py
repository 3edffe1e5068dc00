"""The real event log that lies beside the repository, where it does."""

from __future__ import annotations

from typing import Final

import pytest

from deploy.launcher.layout import REPOSITORY

RECEIPT_LOG: Final = REPOSITORY.parent / "shared" / "data" / "municipal-receipt-log.xes.gz"

needs_the_receipt_log = pytest.mark.skipif(
    not RECEIPT_LOG.exists(), reason="the receipt log is not in ../shared/data (the product does not carry it)"
)
