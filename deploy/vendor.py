"""Copies what the pages use in the browser from node_modules to where it is served, with its licences.

Standard library only. Run by `make vendor` after `npm ci`; the copies are committed.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
PACKAGES: Final = REPOSITORY / "node_modules"
VENDOR: Final = REPOSITORY / "shared" / "http" / "static" / "vendor"

COPIES: Final = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "licences/htmx.txt"},
    "uplot": {
        "dist/uPlot.iife.min.js": "uplot.min.js",
        "dist/uPlot.min.css": "uplot.min.css",
        "LICENSE": "licences/uplot.txt",
    },
    "@fontsource-variable/source-sans-3": {
        "files/source-sans-3-vietnamese-wght-normal.woff2": "source-sans-3-vietnamese.woff2",
        "files/source-sans-3-latin-wght-normal.woff2": "source-sans-3-latin.woff2",
        "LICENSE": "licences/source-sans-3.txt",
    },
}
"""Package -> file in it -> its name below the vendor folder."""


def main() -> int:
    """0 when everything was copied, 1 with a sentence when a package is missing or lacks a file."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    versions = {}
    for package, files in COPIES.items():
        for source, name in files.items():
            path = PACKAGES / package / source
            if not path.is_file():
                sys.stderr.write(f"✗ {package} has no {source}: run `npm ci`, or set COPIES right\n")
                return 1
            target = VENDOR / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        versions[package] = json.loads((PACKAGES / package / "package.json").read_text(encoding="utf-8"))["version"]
    (VENDOR / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write("".join(f"✓ {package} {version}\n" for package, version in versions.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
