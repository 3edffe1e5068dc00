"""Who stands for the mail provider: ``python -m tests.bench.provider PORT``.

It speaks as much SMTP (RFC 5321) as a sender needs, takes every letter and keeps none: what a provider does with a letter
he does on a machine of his own. The mail catcher of the house parses each, writes it to disk and shows it: 1.4 to 1.8 ms
of the processor that the river is measured on.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

_GREETING: Final = b"220 provider.bench ESMTP\r\n"
_HELLO: Final = b"250-provider.bench\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 10485760\r\n"
_ANSWERS: Final = {
    b"EHLO": _HELLO,
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"NOOP": b"250 2.0.0 OK\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}
_NO_SUCH: Final = b"502 5.5.1 not here\r\n"
_END: Final = b"\r\n.\r\n"


class _Conversation(asyncio.Protocol):
    """With one sender: a line is answered, a text is taken at its end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._read = b""
        self._in_text = False
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            end = _END if self._in_text else b"\r\n"
            said, found, rest = self._read.partition(end)
            if not found:
                return
            self._read = rest
            if self._in_text:
                self._in_text = False
                self._transport.write(b"250 2.0.0 OK: taken\r\n")
                continue
            verb = said[:4].upper()
            self._in_text = verb == b"DATA"
            self._transport.write(_ANSWERS.get(verb, _NO_SUCH))
            if verb == b"QUIT":
                self._transport.close()


async def main() -> None:
    """Take letters until killed."""
    server = await asyncio.get_running_loop().create_server(_Conversation, "127.0.0.1", int(sys.argv[1]), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
