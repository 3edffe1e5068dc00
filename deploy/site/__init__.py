"""`make docs`: the documents in `docs/` as a site in `var/site`, made by Zensical. It needs nobody else's server."""

from typing import Final

from deploy.launcher.layout import REPOSITORY

BUILT: Final = REPOSITORY / "var" / "site"
"""Where the built site lies."""
