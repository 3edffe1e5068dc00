"""What holds for each page that the front door serves, before four real services, a mail catcher and a receiver."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest
from playwright.async_api import expect

from deploy.door.addresses import PREFIXES, SERVICES
from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from deploy.sample.says import BANNER_VI, SETTINGS
from services.reporting import handlers
from shared.bus import hear_batch
from shared.seal import make_keys
from tests.architecture.tree import REPOSITORY, parsed
from tests.mail.conftest import a_catcher
from tests.pages.conftest import DESK, NARROWEST, PageAt, fits, is_accessible, save
from tests.pages.every import NOT_ACCEPTABLE, NOT_PAGES, NOTHING_THERE, PAGES
from tests.pages.test_mail import the_notice
from tests.pages.test_operations import Watched, a_command
from tests.pages.test_procedures import lienthong, the_file
from tests.pages.test_reporting import what_is_known
from tests.processes import free_port, running, until
from tests.stores import databases, store
from tests.telemetry.conftest import a_receiver
from tests.telling import records_of

ADDRESSES = list(chain.from_iterable(PAGES.values()))
CODE = "000.01.99.H41-190506-0006"


@dataclass(frozen=True, slots=True)
class Whole:
    """The front door's address, and what the names in braces stand for."""

    url: str
    known: dict[str, str]

    def at(self, address: str, language: str = "vi") -> str:
        whole = self.url + address.format(**self.known)
        return f"{whole}{'&' if '?' in whole else '?'}lang={language}"


@pytest.fixture(scope="module")
async def whole(servers: Servers, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    """Everything that stands behind the door, without a broker, each with something to show."""
    assert servers.kafka
    folder = tmp_path_factory.mktemp("whole")
    make_keys(folder / "keys")
    (folder / "procedures.csv").write_bytes(the_file())
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(databases(layout, "_every"))
        stories, said = what_is_known()
        reporting = await stack.enter_async_context(store(made, "reporting"))
        intake = await stack.enter_async_context(store(made, "intake"))
        async with reporting.transaction() as tx:
            await hear_batch(tx, handlers.hearer(), records_of(said))
        receiver = await stack.enter_async_context(a_receiver(folder / "telemetry"))
        mails = await stack.enter_async_context(a_catcher(folder / "mail", before=(), **SETTINGS))
        await mails.send(the_notice())
        ports = {name: free_port() for name in (*SERVICES, "operations", "door")}
        behind = {f"UPSTREAM_{name.upper()}": f"http://127.0.0.1:{ports[name]}" for name in (*SERVICES, "operations")}
        behind |= {"UPSTREAM_RECEIVER": receiver.url, "UPSTREAM_MAIL": mails.url}
        for name in SERVICES:
            own = {f"DATABASE_URL_{name.upper()}": made.login[name], "HTTP_PORT": str(ports[name])}
            given = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "SEAL_KEYS": str(folder / "keys")}
            environment = {"DEV_ACTOR": "true", **SETTINGS, **given, **own}
            await stack.enter_async_context(running(f"services.{name}", environment, ports[name]))
        asked = {"OPERATIONS_PORT": str(ports["operations"]), "DEV_ACTOR": "true", **SETTINGS, **behind}
        await stack.enter_async_context(running("deploy.operations", asked, ports["operations"]))
        await stack.enter_async_context(
            running("deploy.door", {"DOOR_PORT": str(ports["door"]), **SETTINGS, **behind}, ports["door"])
        )
        url = f"http://127.0.0.1:{ports['door']}"
        imported = await lienthong("catalogue", "import", str(folder / "procedures.csv"), "--url", url)
        assert imported.exit_code == 0, imported.output
        letter, _ = await Watched(url, receiver, intake).bury()
        stream, trace = await a_command(receiver)
        await until(lambda: bool(mails.files()), "the letter lies in the folder")
        known = {"dossier": stories[5].subject, "code": CODE, "stream": stream, "trace": trace}
        yield Whole(url, {**known, "letter": str(letter), "mail": mails.files()[0].stem})


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_fits_the_narrowest_phone_in_both_languages_and_keeps_nobody_from_using_it(
    whole: Whole, page_at: PageAt, address: str
) -> None:
    for width, language in ((NARROWEST, "vi"), (NARROWEST, "en"), (DESK, "en")):
        page = await page_at(width, may_complain=True)
        answer = await page.goto(whole.at(address, language))
        await save(page, f"every-{re.sub(r'[^a-z]+', '-', address)}-{width}-{language}")

        assert answer is not None
        assert answer.status == 200
        assert await fits(page), (width, language)
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)
        await is_accessible(page)


@pytest.mark.parametrize("address", ADDRESSES)
async def test_a_page_is_whole_without_javascript_and_says_that_the_town_is_a_sample(
    whole: Whole, page_at: PageAt, address: str
) -> None:
    page = await page_at(NARROWEST, scripts=False, may_complain=True)
    await page.goto(whole.at(address))

    assert await fits(page)
    await expect(page.get_by_text(BANNER_VI)).to_be_visible()
    await expect(page.locator("header.top")).to_be_visible()


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize(
    ("status", "address"), [(404, one) for one in NOTHING_THERE] + [(422, one) for one in NOT_ACCEPTABLE]
)
async def test_what_is_unknown_is_a_page_that_says_what_to_do(
    whole: Whole, page_at: PageAt, status: int, address: str, language: str
) -> None:
    page = await page_at(NARROWEST, may_complain=True)
    answer = await page.goto(whole.at(address, language))

    assert answer is not None
    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html")
    assert await fits(page)
    await expect(page.locator("html")).to_have_attribute("lang", language)
    await expect(page.locator("header.top")).to_be_visible()
    await expect(page.locator("main .notice")).not_to_have_count(0)
    assert "Traceback" not in await page.content()
    await is_accessible(page)


def test_every_route_of_a_page_is_in_the_list_of_pages() -> None:
    listed = {*PAGES, *NOT_PAGES}

    assert served() - listed == set(), "add the new page to tests/pages/every.py"
    assert listed - served() == set(), "tests/pages/every.py names what is not there any more"


def served() -> set[str]:
    """The routes that answer GET and stand in no description of an interface, as they are written in the sources."""
    found = {f"/{prefix}/docs" for prefix in PREFIXES if prefix not in {"telemetry", "traces"}}
    for path in sorted([*REPOSITORY.glob("services/*/pages*/**/*.py"), *REPOSITORY.glob("services/*/pages.py")]):
        found |= {f"/{path.relative_to(REPOSITORY).parts[1]}{route}" for route, _ in _routes(path)}
    for path in sorted(REPOSITORY.glob("deploy/*/*.py")):
        found |= {route for route, is_hidden in _routes(path) if is_hidden}
    return found


def _routes(path: Path) -> set[tuple[str, bool]]:
    """What `@….get("…")` names in a file, and whether it is hidden from the description."""
    decorators = [
        each
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
        for each in node.decorator_list
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "get"
    ]
    return {
        (str(ast.literal_eval(each.args[0])), any(word.arg == "include_in_schema" for word in each.keywords))
        for each in decorators
    }
