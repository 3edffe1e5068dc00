"""Every page that the front door serves: one list, by the route that answers. A route that is not in it fails a test.

In addresses, {dossier} is a stream that reporting knows, {code} its printed code, {stream} one that has left traces,
{trace} one of them, {letter} a dead letter of intake, {mail} a message that was caught.
"""

from typing import Final

PAGES: Final[dict[str, tuple[str, ...]]] = {
    "/": ("/",),
    "/intake/docs": ("/intake/docs",),
    "/intake/procedures/page": ("/intake/procedures/page", "/intake/procedures/page?q=khong+co+gi"),
    "/routing/docs": ("/routing/docs",),
    "/notification/docs": ("/notification/docs",),
    "/reporting/docs": ("/reporting/docs",),
    "/reporting/": ("/reporting/?still=true",),
    "/reporting/river": ("/reporting/river?still=true",),
    "/reporting/style": ("/reporting/style",),
    "/reporting/lookup": ("/reporting/lookup", "/reporting/lookup?code={code}"),
    "/reporting/dossiers/page": ("/reporting/dossiers/page?standing=open",),
    "/reporting/dossiers/{dossier}": ("/reporting/dossiers/{dossier}",),
    "/mail/": ("/mail/", "/mail/?to=nobody"),
    "/mail/docs": ("/mail/docs",),
    "/mail/messages/{message}/page": ("/mail/messages/{mail}/page",),
    "/operations/": ("/operations/",),
    "/operations/docs": ("/operations/docs",),
    "/operations/dead-letters/{service}": ("/operations/dead-letters/intake",),
    "/operations/dead-letters/{service}/{ident}": ("/operations/dead-letters/intake/{letter}",),
    "/traces/": ("/traces/", "/traces/?q={stream}"),
    "/traces/{trace}": ("/traces/{trace}",),
}
"""By route, the addresses at which it is looked at."""

NOTHING_THERE: Final = (
    "/nowhere",
    "/docs/nothing/",
    "/intake/nothing",
    "/intake/procedures/by-code/9.999999",
    "/routing/nothing",
    "/notification/nothing",
    "/reporting/nothing",
    "/reporting/lookup?code=000.01.99.H41-000000-0000",
    "/reporting/lookup?code=%3Cscript%3E",
    "/reporting/dossiers/page?unit=000.77.99.H41",
    "/reporting/dossiers/nothing",
    "/mail/messages/nothing/page",
    "/operations/nothing",
    "/operations/dead-letters/intake/999999",
    "/traces/?q=000.01.99.H41-000000-0000",
    "/traces/?q=nothing+like+a+code",
    "/traces/00000000000000000000000000000000",
    "/traces/nothing",
)
"""Where a code or an address is unknown: 404."""

NOT_ACCEPTABLE: Final = (
    "/intake/procedures/page?skip=many",
    "/reporting/dossiers/page?standing=nothing",
    "/operations/dead-letters/nothing",
    "/operations/dead-letters/intake/nothing",
    "/traces/?hours=nothing",
)
"""Where what was asked for is nothing that could be: 422."""

NOT_PAGES: Final = {
    "/mail": "leads to /mail/",
    "/mail/messages/{message}/html/{number}": "a letter's own HTML, shown within its page",
    "/operations": "leads to /operations/",
    "/traces": "leads to /traces/",
    "/reporting": "the same as /reporting/",
    "/reporting/river/days": "figures for a chart",
    "/reporting/river/stream": "events for the open page",
}
"""Hidden from the descriptions of the interfaces, and no page of its own."""
