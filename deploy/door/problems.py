"""What the door says when it cannot pass a request on."""

from typing import Final

from deploy.door.connection import UpstreamAwayError, UpstreamBusyError, UpstreamError, UpstreamLateError
from shared.http.problems import Problem

UNKNOWN_ADDRESS: Final = Problem(
    404,
    "unknown-address",
    "There is nothing at this address",
    "addresses begin with /intake, /routing, /notification, /reporting, /mail or /docs",
    "start from the front page at /",
)


def of_upstream(name: str, error: UpstreamError) -> Problem:
    """What to say when `name` gave no answer; it tells truthfully whether the request may have had an effect."""
    more = {"service": name}
    if isinstance(error, UpstreamAwayError):
        return Problem(
            503,
            "service-away",
            "The service is away",
            f"{name} does not answer at its address; nothing was sent to it",
            "try again in a few seconds; if it stays away, `lienthong status` shows why",
            more=more,
            headers={"Retry-After": "2"},
        )
    if isinstance(error, UpstreamBusyError):
        return Problem(
            503,
            "service-busy",
            "The service is busy",
            f"all connections to {name} are in use; nothing was sent to it",
            "try again in a few seconds",
            more=more,
            headers={"Retry-After": "5"},
        )
    late = isinstance(error, UpstreamLateError)
    return Problem(
        504 if late else 502,
        "service-late" if late else "service-broke-off",
        "The service did not answer in time" if late else "The service broke off",
        f"{name} gave no answer; whether the request had an effect is not known",
        "send it again with the same Idempotency-Key: what was done is then not done twice, and you get its answer",
        more=more,
        headers={"Retry-After": "2"},
    )
