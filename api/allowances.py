"""Quotas, and who counts what of them is spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from limits import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So many, in so many seconds from the first."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A quota of which nothing is left."""

    what: str
    quota: Quota
    current: int
    reset_at: datetime


class Allowances(Protocol):
    """Counts what callers have done.

    Every method raises ``Unavailable`` when the database does not answer.
    """

    async def take(self, caller: str, what: str, quotas: Sequence[Quota]) -> Spent | None:
        """Take one of each quota, or none at all; return the quota that is spent for longest."""
        ...

    async def give_back(self, caller: str, what: str, quotas: Sequence[Quota]) -> None:
        """Let what was taken last not count, because nothing came of it."""
        ...


def quota_of(said: str) -> Quota:
    """Return the quota that ``10/hour`` stands for."""
    rate = parse(said)
    return Quota(most=rate.amount, seconds=rate.get_expiry())
