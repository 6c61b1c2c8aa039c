"""What a caller needs for a route. A route that declares nothing does not start."""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from api.deps import deps_of
from api.errors import NotAllowed
from api.identity.auditing import address_of
from api.ownership import owners_of
from domain.errors import TaskloomError
from domain.identity import Action, Caller, Permission

OPEN: Final = frozenset({"/livez", "/readyz", "/api/v1/auth/login", "/api/v1/auth/refresh"})
"""Paths that anybody may ask for: they tell nothing about anybody, or are the way in."""


_OWNED: Final[Mapping[str, Action]] = {"plan:read": "plan:read", "plan:steer": "plan:steer"}
"""What one may do with one's own: the path says with what."""


class Undeclared(Exception):
    """Routes say nothing about who may use them; with such a route nothing starts."""

    def __init__(self, routes: Sequence[str]) -> None:
        super().__init__(f"no permission is declared for {', '.join(routes)}")


_KNOWN: Final = "taskloom.caller"


async def caller_of(request: Request) -> Caller:
    """Return who asks; a request is looked at once, however many want to know."""
    known = request.scope.get(_KNOWN)
    if isinstance(known, TaskloomError):
        raise known
    if not isinstance(known, Caller):
        try:
            known = await deps_of(request).identity.identify(request)
        except TaskloomError as unknown:
            request.scope[_KNOWN] = unknown
            raise
        request.scope[_KNOWN] = known
    return known


Who = Annotated[Caller, Depends(caller_of)]
"""Whoever asks, for routes that have to name them."""


class May:
    """Lets those pass who have a permission, and tells the route who they are."""

    def __init__(self, permission: Permission | Action) -> None:
        self.permission: Permission | Action = permission
        self.action: Action | None = _OWNED.get(permission)

    async def __call__(self, request: Request, caller: Who) -> Caller:
        """Return the caller.

        Whatever the path names has to be theirs, or they need the permission for all.

        Raises:
            NotAllowed: They lack the permission.
            NotFound: They may do this with what is their own, and this is not.
        """
        if not caller.may(self.permission):
            await deps_of(request).identity.auditor.note(
                "access.denied",
                f"{request.method} {request.url.path}",
                actor=caller.actor,
                outcome="refused",
                detail=f"lacks {self.permission}",
                address=address_of(request),
            )
            raise NotAllowed(self.permission)
        if self.action is not None:
            await owners_of(request).require(
                deps_of(request),
                caller,
                self.action,
                plan_id=request.path_params.get("plan_id"),
                run_id=request.path_params.get("execution_id"),
            )
        return caller


def may(permission: Permission | Action) -> Any:
    """Return what a route declares that needs a permission, and not to know the caller."""
    return Depends(May(permission))


def undeclared(app: FastAPI) -> Iterable[str]:
    """Return the routes that say nothing about who may use them."""
    for method, path, route in routes_of(app):
        if path not in OPEN and not permissions_of(route):
            yield f"{method} {path}"


def routes_of(app: FastAPI) -> Iterable[tuple[str, str, APIRoute]]:
    """Return every route of an app, with its method and its whole path."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                yield method, context.path or "", route


def permissions_of(route: APIRoute) -> Set[Permission | Action]:
    """Return what a route asks of its callers."""
    calls = [each.call for each in dependencies_of(route.dependant)]
    return {call.permission for call in calls if isinstance(call, May)}


def dependencies_of(dependant: Dependant) -> Iterable[Dependant]:
    """Return everything that a route or a dependency depends on, at however many removes."""
    for each in dependant.dependencies:
        yield each
        yield from dependencies_of(each)
