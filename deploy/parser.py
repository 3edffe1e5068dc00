"""Makes sure that AsyncAPI's own parser is there, where node is. Standard library only.

The lock names no host, so npm asks the registry that the machine is set up for. No package runs a script of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "contracts" / "parser"


def main() -> int:
    """0 when it is there, or when there is no node to run it; 1 with a sentence when npm cannot install it."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        sys.stdout.write("· no node here: AsyncAPI's own parser is left out\n")
        return 0
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return 0
    sys.stdout.write("… installing AsyncAPI's own parser\n")
    sys.stdout.flush()
    done = subprocess.run(
        [npm, "ci", "--loglevel=error"],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        sys.stderr.write(f"✗ AsyncAPI's parser cannot be installed; set right what npm says, then run again:\n{last}\n")
        return 1
    installed.touch()
    sys.stdout.write("✓ AsyncAPI's own parser\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
