"""What a caller needs for a route. A route that declares nothing does not start."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.deps import deps_of
from api.errors import NotAllowed
from domain.identity import Action, Caller, Permission

OPEN: Final = frozenset({"/livez", "/readyz"})
"""Paths that anybody may ask for; they tell nothing about anybody."""

_KNOWN: Final = "taskloom.caller"


async def caller_of(request: Request) -> Caller:
    """Return who asks; a request is looked at once, however many want to know."""
    known = request.scope.get(_KNOWN)
    if not isinstance(known, Caller):
        known = await deps_of(request).identify(request)
        request.scope[_KNOWN] = known
    return known


Identified = Annotated[Caller, Depends(caller_of)]


class May:
    """Lets those pass who have a permission, and tells the route who they are."""

    def __init__(self, permission: Permission | Action) -> None:
        self.permission = permission

    def __call__(self, caller: Identified) -> Caller:
        """Return the caller.

        Raises:
            NotAllowed: They lack the permission.
        """
        if not caller.may(self.permission):
            raise NotAllowed(self.permission)
        return caller


def undeclared(app: FastAPI) -> Iterable[str]:
    """Return the routes that say nothing about who may use them."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or route.path in OPEN:
            continue
        if not any(isinstance(each.call, May) for each in _dependencies(route.dependant)):
            yield f"{' '.join(sorted(route.methods or ()))} {route.path}"


def _dependencies(dependant: Dependant) -> Iterable[Dependant]:
    for each in dependant.dependencies:
        yield each
        yield from _dependencies(each)
