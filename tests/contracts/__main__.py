"""`make contracts`, its second half: keep the golden records of this version, or say why not (exit code 1)."""

from __future__ import annotations

import sys

from shared.version import release
from tests.contracts import golden


def main() -> int:
    """Write the goldens of the version that pyproject.toml names."""
    version = release()
    try:
        released = golden.is_released(version)
        written = golden.write(version, golden.FOLDER, released=released)
    except ValueError as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    for path in written:
        sys.stdout.write(f"wrote tests/contracts/golden/{path}\n")
    if not written:
        sys.stdout.write(f"Nothing to write: the goldens of {version} say what the code says.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
