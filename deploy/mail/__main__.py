"""``python -m deploy.mail``: the mail catcher as a process of its own, SMTP and web."""

import asyncio
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
import uvloop
from fastapi import FastAPI

from deploy.mail.folder import Folder, FolderInUseError
from deploy.mail.index import Index
from deploy.mail.letters import summary_of
from deploy.mail.settings import Settings
from deploy.mail.smtp import Taking
from deploy.mail.web import make_app
from shared.http.health import LoopLag
from shared.telemetry import start_logging

log = logging.getLogger("deploy.mail")

GRACE_SECONDS = 3


def main() -> int:
    """Serve until told to stop. Returns the process's exit status."""
    start_logging("mail")
    # aiosmtpd says every command, and with it every recipient's address.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    settings = Settings()
    folder = Folder(settings.mail_folder)
    try:
        folder.open()
        index = _indexed(folder)
        with (
            _listening(settings.mail_host, settings.mail_smtp_port) as smtp,
            _listening(settings.mail_host, settings.mail_web_port) as web,
        ):
            uvloop.run(_serve(settings, folder, index, smtp, web))
    except FolderInUseError:
        log.critical("mail_folder_in_use", extra={"folder": str(settings.mail_folder)})
        return 1
    except OSError as error:
        log.critical("mail_cannot_start", extra={"reason": error.strerror or str(error), "file": error.filename})
        return 1
    finally:
        folder.close()
    return 0


def _indexed(folder: Folder) -> Index:
    index = Index()
    for head in folder.heads():
        index.add(summary_of(head.id, head.data, head.size))
    log.info("mail_index_built", extra={"messages": len(index)})
    return index


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError that names the address."""
    try:
        return socket.create_server((host, port), backlog=512)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from None


async def _serve(
    settings: Settings, folder: Folder, index: Index, smtp_socket: socket.socket, web_socket: socket.socket
) -> None:
    taking = Taking(folder, index, keep_free_bytes=settings.mail_keep_free_bytes)
    smtp = await asyncio.get_running_loop().create_server(taking.protocol, sock=smtp_socket)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with lag.measured():
            yield
        smtp.close()
        await taking.finish()

    lag = LoopLag()
    app = make_app(folder, index, lag, smtp.is_serving, settings.banner)
    app.router.lifespan_context = living
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="on",
            ws="none",
            # Addresses of the pages' searches hold recipients.
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    await server.serve(sockets=[web_socket])


if __name__ == "__main__":
    sys.exit(main())
