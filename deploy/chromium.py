"""Makes sure that the browser tests have a Chromium with fonts for Vietnamese. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-noto-core")


def found() -> str | None:
    """Where a Chromium is: what CHROMIUM names, else what the PATH has."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def main() -> int:
    """0 when a Chromium is there or was installed, 1 with a sentence when it must be installed by hand."""
    if found() is not None:
        return 0
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return _say(
            "The browser tests need Chromium, and this user cannot install it: "
            f"sudo apt-get install {' '.join(PACKAGES)} (or your system's own way), then run again."
        )
    sys.stdout.write("… installing Chromium for the browser tests\n")
    sys.stdout.flush()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        return _say(f"Chromium cannot be installed; set right what apt-get says, then run again:\n{last}")
    sys.stdout.write("✓ Chromium\n")
    return 0


def _say(text: str) -> int:
    sys.stderr.write(f"✗ {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
