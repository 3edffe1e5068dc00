"""Who reads a page of reporting."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from shared.access import DEV_ACTOR_HEADER, Actor, dev_actor
from shared.http.actor import actor_of

_DEV_READER: Final = "id=browser; roles=inspector"


def reader_of(request: Request) -> Actor:
    """A FastAPI dependency: who reads. RefusedError (401) when nobody vouches for anybody.

    A browser cannot send the development header. Where that header is believed, whoever sits at this machine may call
    himself an inspector anyway, so a page that takes him for one gives nothing away; elsewhere it asks for a sign-in.
    """
    if DEV_ACTOR_HEADER not in request.headers:
        peer = request.client.host if request.client else None
        reader = dev_actor(_DEV_READER, peer, enabled=getattr(request.app.state, "dev_actor", False))
        if isinstance(reader, Actor):
            return reader
    return actor_of(request)


ReaderHere = Annotated[Actor, Depends(reader_of)]
