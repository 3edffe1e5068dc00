"""`lienthong dead-letters list`, `show`, `redrive`, `void`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.operating import AsJson, Gathered, OneService, Operator, age, chosen, gather, operator, tell
from deploy.sentences import Url, address, printable, sentences
from deploy.speaking import Actor, Answer, speaker
from shared.topics import Service

app = typer.Typer(
    name="dead-letters", help="Records that a service could not hear: look, redrive, void.", no_args_is_help=True
)

Whose = Annotated[
    Service, typer.Argument(help="The service in whose store it lies.", metavar="SERVICE", show_default=False)
]
Ident = Annotated[
    int, typer.Argument(help="Its id, as `dead-letters list` shows it.", metavar="ID", min=1, show_default=False)
]

_COLUMNS: Final = {
    "service": "service",
    "id": "id",
    "age": "age_seconds",
    "where": "place",
    "subject": "subject",
    "version": "version",
    "type": "type",
    "reason": "reason",
}
_FATED: Final = {"fate": "fate", "by": "fated_by", "because": "fate_reason"}


@app.command("list")
def list_(
    service: OneService = None,
    url: Url = None,
    who: Operator = "operator",
    *,
    closed: Annotated[bool, typer.Option("--closed", help="Those whose fate was decided, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what lies there, newest first. Exit code 1 when a service does not answer."""
    console = Console()
    with sentences():
        gathered = asyncio.run(_listed(address(url), operator(who), chosen(service), closed=closed))
        columns = {**_COLUMNS, **(_FATED if closed else {})}
        tell(console, gathered, columns, nothing="No dead letters.", as_json=as_json, rows="dead_letters")


@app.command()
def show(service: Whose, ident: Ident, url: Url = None, who: Operator = "operator", *, as_json: AsJson = False) -> None:
    """Show one with its headers and its body."""
    console = Console()
    with sentences():
        answer = asyncio.run(_asked(address(url), operator(who), "GET", service, str(ident)))
        if as_json:
            console.file.write(json.dumps({"service": service.value, **answer}, indent=2) + "\n")
        else:
            _show(console, service, answer)


@app.command()
def redrive(service: Whose, ident: Ident, url: Url = None, who: Operator = "operator") -> None:
    """Hear it once more as it is: after a release that can read it."""
    console = Console()
    with sentences():
        answer = asyncio.run(_asked(address(url), operator(who), "POST", service, f"{ident}/redrive"))
        console.print(f"Dead letter {ident} of {service.value} was heard: {answer['done']}.", highlight=False)


@app.command()
def void(
    service: Whose,
    ident: Ident,
    reason: Annotated[str, typer.Option(help="Why; it is signed with your id and kept.", show_default=False)],
    url: Url = None,
    who: Operator = "operator",
) -> None:
    """Pass its version over for this service, for a signed reason; what waits behind it goes on."""
    console = Console()
    with sentences():
        body = {"reason": reason}
        answer = asyncio.run(_asked(address(url), operator(who), "POST", service, f"{ident}/void", body))
        console.print(f"Dead letter {ident} of {service.value}: {answer['done']}.", highlight=False)


async def _listed(url: str, who: Actor, names: tuple[str, ...], *, closed: bool) -> Gathered:
    async with speaker(url) as services:
        return await gather(services, who, names, "dead-letters", "dead_letters", {"closed": str(closed).lower()})


async def _asked(
    url: str, who: Actor, method: str, service: Service, rest: str, body: dict[str, str] | None = None
) -> Answer:
    async with speaker(url) as services:
        return await services.must(who, method, f"/{service.value}/operations/dead-letters/{rest}", body=body)


def _version_of(letter: dict[str, Any]) -> str | None:
    if letter["version"] is None:
        return None
    return f"{letter['version']}{', which its speaker never said' if letter.get('never_said') else ''}"


def _show(console: Console, service: Service, letter: dict[str, Any]) -> None:
    facts = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    place = f"{letter['topic']}, partition {letter['partition']}, offset {letter['offset']}"
    told = {
        "dead letter": f"{letter['id']} of {service.value}",
        "came on": place,
        "from": letter["source"],
        "subject": letter["subject"],
        "version": _version_of(letter),
        "type": letter["type"],
        "reason": letter["reason"],
        "died": f"{letter['died']} ({age(float(letter['age_seconds']))} ago)",
        "fate": letter["fate"] and f"{letter['fate']} by {letter['fated_by']}: {letter['fate_reason'] or '–'}",
    }
    for name, value in told.items():
        facts.add_row(name, Text("–" if value is None else printable(str(value))))
    console.print(facts)
    console.print("\nheaders")
    for name, value in letter["headers"].items():
        console.print(Text(printable(f"  {name}: {value}")), soft_wrap=True)
    shown = len(letter["body"].encode())
    cut = f", the first {shown} shown" if shown < letter["body_bytes"] else ""
    console.print(f"\nbody ({letter['body_bytes']} bytes{cut})", highlight=False)
    console.print(Text(printable(letter["body"])), soft_wrap=True)
