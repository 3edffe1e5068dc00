"""`python -m deploy.site`: build var/site. Exit code 1, with what is wrong, when a link leads nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.launcher.layout import REPOSITORY
from deploy.site import BUILT
from deploy.site.pages import PageError, as_toml, navigation

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_CONFIGURATION: Final = Path(__file__).with_name("zensical.toml")


def main() -> int:
    """Build the site of this checkout."""
    try:
        site = build(REPOSITORY / "docs", BUILT.parent)
    except PageError as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    sys.stdout.write(f"✓ {site.relative_to(REPOSITORY)}/index.html\n")
    return 0


def build(docs: Path, var: Path) -> Path:
    """Build the pages of ``docs`` in ``var/site``; where they lie. Raises PageError with what the generator says."""
    # the generator reads below its configuration only
    pages = var / "pages"
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(docs, pages)
    configuration = var / "zensical.toml"
    places = f'docs_dir = "pages"\nsite_dir = "site"\nnav = {as_toml(navigation(docs))}\n'
    given = _CONFIGURATION.read_text(encoding="utf-8")
    configuration.write_text(given.replace("[project]\n", f"[project]\n{places}", 1), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", str(configuration)]
    plain = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, cwd=var, env=plain, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = _COLOURS.sub("", done.stdout + done.stderr.partition("Traceback")[0]).strip()
        raise PageError(f"The site cannot be built; set right what the generator says of docs/:\n{said}")
    # it takes the site for the root of a server; the front door has a better page for what is not there
    (var / "site" / "404.html").unlink(missing_ok=True)
    return var / "site"


if __name__ == "__main__":
    sys.exit(main())
