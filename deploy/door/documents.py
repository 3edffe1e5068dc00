"""The documents as a site below /docs/, where somebody has built it."""

from pathlib import Path
from typing import Final

from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from shared.http.problems import Problem, answer

NOT_BUILT: Final = Problem(
    404,
    "documents-not-built",
    "The documents have not been built here",
    "this installation has no built site of its documents",
    "run `make docs` in the sources, or read the folder docs/ there",
)


class Documents:
    """An application that answers with the files of ``folder``, which may come and go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = StaticFiles(directory=folder, html=True, check_dir=False)

    @property
    def are_there(self) -> bool:
        """Whether somebody has built them."""
        return (self._folder / "index.html").is_file()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        there = self._files if self.are_there else answer(scope, NOT_BUILT)
        await there(scope, receive, send)
