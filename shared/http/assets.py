"""Static files with their content's hash in the address: kept by browsers for ever, and never stale."""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_TYPES: Final = {".woff2": "font/woff2", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
_TEXT: Final = ("text/", "image/svg+xml", "application/json")
_URL: Final = re.compile(r'url\("([^":]+)"\)')


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    content: bytes
    zipped: bytes | None
    digest: str
    media_type: str


class Assets:
    """The files below a folder, read once, served at `address`.

    A style sheet's relative `url("…")` get the hashes of what they name, so that a new font has a new address too.
    ValueError when one names a file that is not there.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._address = address
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        contents = {name: (folder / name).read_bytes() for name in names}
        self._assets = {name: _asset(name, content) for name, content in contents.items() if not name.endswith(".css")}
        for name, content in contents.items():
            if name.endswith(".css"):
                self._assets[name] = _asset(name, _with_hashes(name, content, self._assets))

    def __iter__(self) -> Iterator[str]:
        return iter(self._assets)

    def __contains__(self, name: str) -> bool:
        return name in self._assets

    def url(self, name: str) -> str:
        """Where a browser fetches it. KeyError when there is no such file."""
        return f"{self._address}/{name}?v={self._assets[name].digest}"

    async def serve(self, request: Request) -> Response:
        """The file that the path's `name` means. 404 when there is none."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return Response("there is no such file\n", 404, media_type="text/plain")
        etag = f'"{asset.digest}"'
        headers = {
            "Cache-Control": _FOR_EVER if request.query_params.get("v") == asset.digest else _ASK_AGAIN,
            "ETag": etag,
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = asset.content
        if asset.zipped is not None and "gzip" in Headers(scope=request.scope).get("accept-encoding", ""):
            content, headers["Content-Encoding"] = asset.zipped, "gzip"
        return Response(content, headers=headers, media_type=asset.media_type)


def _asset(name: str, content: bytes) -> Asset:
    media_type = _TYPES.get(PurePosixPath(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    zipped = gzip.compress(content, 9, mtime=0) if media_type.startswith(_TEXT) else None
    return Asset(content, zipped, hashlib.sha256(content).hexdigest()[:16], media_type)


def _with_hashes(name: str, content: bytes, known: Mapping[str, Asset]) -> bytes:
    folder = PurePosixPath(name).parent

    def hashed(found: re.Match[str]) -> str:
        target = (folder / found[1]).as_posix()
        if target not in known:
            raise ValueError(f"{name} names {found[1]}, which is not there")
        return f'url("{found[1]}?v={known[target].digest}")'

    return _URL.sub(hashed, content.decode()).encode()
