"""`lienthong republish`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from deploy.launcher.errors import LaunchError
from deploy.operating import Operator, operator
from deploy.sentences import Url, address, sentences
from deploy.speaking import Actor, speaker
from shared.topics import CONTROL, TOPIC_OF, TOPICS, Service

app = typer.Typer()

_SECONDS: Final = 600


@app.command()
def republish(
    service: Annotated[Service, typer.Argument(help="Who said it.", metavar="SERVICE", show_default=False)],
    subject: Annotated[
        list[str] | None, typer.Option(help="A stream id; may be given several times: a dossier's, unit:…, calendar:…")
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help="To a hearer's private topic, which must exist. Default: to the topic where all hear it."),
    ] = None,
    url: Url = None,
    who: Operator = "operator",
    *,
    everything: Annotated[bool, typer.Option("--all", help="Of every subject.")] = False,
) -> None:
    """Say again all that a service said, from version 1. Hearers drop what they have heard: nothing doubles."""
    console = Console()
    if service not in TOPIC_OF:
        raise typer.BadParameter(f"{service.value} only hears: there is nothing to say again")
    if bool(subject) == everything:
        raise typer.BadParameter("name subjects with --subject, or all of them with --all (one of the two)")
    if topic in {each.name for each in (*TOPICS, CONTROL)}:
        raise typer.BadParameter("--topic names a hearer's private topic; leave it out for the topic where all hear it")
    with sentences():
        subjects = list(dict.fromkeys(subject)) if subject else None
        body: dict[str, Any] = {"subjects": subjects, "topic": topic}
        count = asyncio.run(_republished(address(url), operator(who), service.value, body))
        if subjects is not None and count < len(subjects):
            raise LaunchError(
                f"{service.value} has said nothing of {len(subjects) - count} of {_counted(len(subjects))}: look at "
                "the ids. What it said of the others is on its way."
            )
        console.print(
            f"{service.value} says again what it said of {_counted(count)}, to {topic or TOPIC_OF[service].name}; "
            "`lienthong status` shows what is not sent yet.",
            highlight=False,
        )


def _counted(count: int) -> str:
    return "1 subject" if count == 1 else f"{count} subjects"


async def _republished(url: str, who: Actor, service: str, body: dict[str, Any]) -> int:
    async with speaker(url, _SECONDS) as services:
        answer = await services.must(who, "POST", f"/{service}/operations/republish", body=body)
    return int(answer["subjects"])
