"""While the database is away: try again, and nothing is half done."""

from __future__ import annotations

from pathlib import Path

from deploy.launcher.postgres import Databases
from shared.seal import Keyring
from shared.store import Database, open_pool
from tests.builders import WARD, a_reception_body, at
from tests.handlers.doors import DESK, Cable, at_counter, intake_app, routing_app
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing, every_row
from tests.http.asking import problem_of


async def test_while_the_database_is_away_the_answer_is_to_try_again_and_the_repeat_is_received_once(
    intake: Intake, made: Databases, keys: Path
) -> None:
    cable = Cable(made.login["intake"])
    await cable.mend()
    pool = await open_pool(cable.url, name="tests cable", smallest=1, largest=4)
    far = Intake(Database(pool), Keyring.load(keys, "intake"), intake.register)
    async with far.open(), at_counter(intake_app(far), DESK) as desk:
        await desk.posts("/intake/dossiers", a_reception_body())
        before = await every_row(intake.database)

        await cable.cut()
        away = await desk.posts("/intake/dossiers", a_reception_body(channel="post"), key="key-1")
        looked = await desk.gets(f"/intake/dossiers/{WARD}-190506-0001")
        then = await every_row(intake.database)
        await cable.mend()
        back = await desk.posts("/intake/dossiers", a_reception_body(channel="post"), key="key-1")

    pool.terminate()
    await cable.cut()
    assert (away.status_code, looked.status_code, back.status_code) == (503, 503, 201)
    assert int(away.headers["Retry-After"]) >= 1
    assert "Idempotency-Key" in problem_of(away)["do"]
    assert then == before
    assert back.json()["code"].endswith("-0002")


async def test_an_officer_s_command_is_not_half_done_while_the_database_is_away(
    routing: Routing, made: Databases
) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    cable = Cable(made.login["routing"])
    await cable.mend()
    pool = await open_pool(cable.url, name="tests cable", smallest=1, largest=4)
    async with at_counter(routing_app(Routing(Database(pool))), DESK) as officer:
        before = await routing.everything()
        command = {"seen": 1, "action": {"kind": "hand_over"}}
        await cable.cut()
        away = await officer.posts(f"/routing/dossiers/{dossier}/commands", command, key="key-1")
        then = await routing.everything()
        await cable.mend()
        back = await officer.posts(f"/routing/dossiers/{dossier}/commands", command, key="key-1")

    pool.terminate()
    await cable.cut()
    assert (away.status_code, back.status_code) == (503, 200)
    assert away.headers["Retry-After"]
    assert then == before
