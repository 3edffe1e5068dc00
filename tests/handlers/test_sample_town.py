"""The sample town goes into an empty store only, and only where every page says that it is a sample."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from deploy.launcher.errors import LaunchError
from deploy.sample.publishing import publish
from deploy.sample.says import BANNER_EN, BANNER_VI
from deploy.sample.town import Town
from deploy.speaking import Answer, Refusal, Speaker
from tests.builders import TOWN, a_procedure
from tests.handlers.doors import intake_app, routing_app
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing, every_row


@asynccontextmanager
async def at_one_door(intake: FastAPI, routing: FastAPI) -> AsyncIterator[Speaker]:
    """Both services behind one address, told apart by the first segment of the path, as the front door does."""

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        await (intake if scope["path"].startswith("/intake") else routing)(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(door, client=("127.0.0.1", 1))) as client:
        yield Speaker(client, "http://town")


async def at_once(attempt: Callable[[], Awaitable[Answer | Refusal]], _: Collection[str], what: str) -> Answer:
    """There is no broker here: what is refused stays so."""
    answer = await attempt()
    assert not isinstance(answer, Refusal), f"{what}: {answer}"
    return answer


async def emptied(routing: Routing) -> None:
    """A store in which nothing was published yet."""
    async with routing.database.pool.acquire() as connection:
        await connection.execute("DELETE FROM unit")


async def test_beside_units_that_are_not_the_sample_s_nothing_is_loaded(intake: Intake, routing: Routing) -> None:
    before = await every_row(intake.database), await routing.everything()

    async with at_one_door(intake_app(intake, banner=(BANNER_VI, BANNER_EN)), routing_app(routing)) as services:
        with pytest.raises(LaunchError, match=f"the unit {TOWN} is there already.*LIENTHONG_SAMPLE=no"):
            await publish(services, Town(), at_once)

    assert (await every_row(intake.database), await routing.everything()) == before


async def test_beside_dossiers_nothing_is_loaded(intake: Intake, routing: Routing) -> None:
    await emptied(routing)
    await intake.receives()

    async with at_one_door(intake_app(intake, banner=(BANNER_VI, BANNER_EN)), routing_app(routing)) as services:
        with pytest.raises(LaunchError, match="1 dossiers"):
            await publish(services, Town(), at_once)


async def test_beside_a_catalogue_that_is_not_the_sample_s_nothing_is_loaded(intake: Intake, routing: Routing) -> None:
    await emptied(routing)
    await intake.publishes(a_procedure("1.000001", version=0))

    async with at_one_door(intake_app(intake, banner=(BANNER_VI, BANNER_EN)), routing_app(routing)) as services:
        with pytest.raises(LaunchError, match=r"the procedure 1\.\d+"):
            await publish(services, Town(), at_once)


async def test_where_the_pages_would_not_say_that_it_is_a_sample_nothing_is_loaded(
    intake: Intake, routing: Routing
) -> None:
    await emptied(routing)

    async with at_one_door(intake_app(intake), routing_app(routing)) as services:
        with pytest.raises(LaunchError, match="BANNER"):
            await publish(services, Town(), at_once)
