"""The actor of a request, and the refusal of one who may not."""

from typing import Annotated

from fastapi import Depends, FastAPI, Request

from shared.access import DEV_ACTOR_HEADER, Action, Actor, Denied, Refusal, Role, can, dev_actor
from shared.http.headers import header_of
from shared.http.problems import Problem, RefusedError

_FIELD = DEV_ACTOR_HEADER.lower().encode()


def believe_dev_actors(app: FastAPI, *, enabled: bool) -> None:
    """Whether X-Dev-Actor is believed (from loopback peers). Without this call it is not."""
    app.state.dev_actor = enabled


def actor_of(request: Request) -> Actor:
    """Who acts. Raises RefusedError (401) when nobody vouches for anybody."""
    actor = dev_actor(
        header_of(request.scope, _FIELD),
        request.client.host if request.client else None,
        enabled=getattr(request.app.state, "dev_actor", False),
    )
    if isinstance(actor, Actor):
        return actor
    raise RefusedError(
        Problem(
            401,
            "nobody",
            "Nobody is signed in",
            actor.reason,
            f"sign in; in development: {DEV_ACTOR_HEADER}: id=officer-7; unit=H41.NN.01; roles=desk",
            DEV_ACTOR_HEADER,
            headers={"WWW-Authenticate": DEV_ACTOR_HEADER},
        )
    )


async def _actor_here(request: Request) -> Actor:
    return actor_of(request)


# A coroutine, although it waits for nothing: FastAPI sends a plain function to a thread and back, which costs more than
# all the rest of what stands before a route.
ActorHere = Annotated[Actor, Depends(_actor_here)]
"""A FastAPI dependency: who acts."""


def demand(actor: Actor, action: Action, object_unit: str | None) -> Role:
    """The role by which the actor may do it. Raises RefusedError (403) when there is none."""
    answer = can(actor, action, object_unit)
    if not isinstance(answer, Denied):
        return answer.role
    detail, do = {
        Refusal.NO_ROLE: (f"none of your roles may {action}", "ask somebody who may, or for the role"),
        Refusal.OTHER_UNIT: (f"you may {action} at your own unit only", "leave it to the unit that has it"),
    }[answer.reason]
    raise RefusedError(Problem(403, "not-yours-to-do", "Not yours to do", detail, do))
