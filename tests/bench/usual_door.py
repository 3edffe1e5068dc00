"""The usual way to receive a dossier: FastAPI, a SQLAlchemy session for each request, an object for each row.

It checks intake's own form, and writes for each dossier rows of the content that intake's had; numbers come from a counter
that is locked. No sealing, no rules: those are to its advantage.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final

import uvicorn
from fastapi import FastAPI, Header
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.ext.automap import automap_base

from services.intake.api.forms import DossierForm
from shared.events import CONTACT
from shared.journal import shard_of
from tests.bench.raw_doors import WRITTEN

_CONNECTIONS: Final = 32

engine = create_async_engine(
    os.environ["DATABASE"].replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=_CONNECTIONS
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
tables: Any = automap_base()
patterns: dict[str, dict[str, Any]] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """The tables, and a row of each as intake wrote it, are read from the database before the first request."""
    async with engine.begin() as connection:
        for table in WRITTEN:
            found = await connection.execute(text(f"SELECT * FROM bench_{table} LIMIT 1"))
            patterns[table] = dict(found.mappings().one())
        await connection.run_sync(lambda sync: tables.prepare(autoload_with=sync))
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.post("/intake/dossiers", status_code=201)
async def post_dossier(form: DossierForm, idempotency_key: Annotated[str, Header()]) -> dict[str, Any]:
    """Receive a dossier."""
    rows = tables.classes
    ident = str(uuid.uuid4())
    pattern = patterns["dossier"]
    scope, day = patterns["command"]["scope"], pattern["received"].date()
    async with sessions() as session, session.begin():
        if await session.get(rows.command, (scope, idempotency_key)) is not None:
            raise AssertionError("every key comes once here")
        counted = insert(rows.counter).values(unit=form.unit, day=day, last=1)
        numbered = counted.on_conflict_do_update(
            index_elements=["unit", "day"], set_={"last": rows.counter.last + 1}
        ).returning(rows.counter.last)
        last = await session.scalar(numbered)
        code = f"{form.unit}-{day:%y%m%d}-{last:04}"
        own = {"id": ident, "code": code, "unit": form.unit, "components": list(form.components), "attributes": {}}
        session.add(rows.dossier(**{**pattern, **own}))
        session.add(rows.citizen(**{**patterns["citizen"], "dossier": ident}))
        session.add(rows.stream(**{**patterns["stream"], "subject": ident}))
        session.add(rows.journal(**{**patterns["journal"], "aggregateid": ident, "id": uuid.uuid4()}))
        session.add(rows.snapshot(**{**patterns["snapshot"], "aggregateid": ident}))
        for topic in (None, CONTACT.name):
            session.add(rows.outbox(shard=shard_of(ident), topic=topic, aggregateid=ident, version=1))
        answer = {"id": ident, "code": code}
        session.add(rows.command(**{**patterns["command"], "id": idempotency_key, "answer": answer}))
    return answer


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["HTTP_PORT"]), log_level="warning", access_log=False)
