"""How this process answers: counted and timed for each route, for Prometheus."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""

_ELSEWHERE: Final = "none"
"""The route of what is asked for where there is none: paths of strangers are no labels."""

_KNOWN: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Meter(Collector):
    """What has been counted since the process began."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Histogram(
            "taskloom_http_request_duration_seconds",
            "Time until the answer was sent, by route.",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=_BOUNDS,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        known = method if method in _KNOWN else "other"
        self._requests.labels(known, route, str(status)).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """Return what was counted."""
        return self._registry.collect()

    def write(self, told: Sequence[Metric], accept: str) -> tuple[bytes, str]:
        """Return this and what else is told in the form that somebody accepts, and its type."""
        encode, media_type = choose_encoder(accept)
        return encode(_Both(self, told)), media_type


class _Both(Collector):
    def __init__(self, meter: Meter, told: Sequence[Metric]) -> None:
        self._meter = meter
        self._told = told

    def collect(self) -> Iterable[Metric]:
        yield from self._told
        yield from self._meter.collect()


class Measured:
    """Lets a meter count requests; streams count when they end."""

    def __init__(self, app: ASGIApp, *, meter: Meter, prefix: str) -> None:
        self._app = app
        self._meter = meter
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - began
            self._meter.count(scope["method"], self._route_of(scope), status, seconds)

    def _route_of(self, scope: Scope) -> str:
        """Return the path of the route that was found, which knows nothing of its prefix."""
        path: str | None = getattr(scope.get("route"), "path", None)
        if path is None:
            return _ELSEWHERE
        is_below = scope["path"].startswith(f"{self._prefix}/")
        return f"{self._prefix}{path}" if is_below and not path.startswith(self._prefix) else path
