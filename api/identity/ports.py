"""Everything that routes need to know who asks, in one place."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from api.identity.accounts import Accounts
from api.identity.auditing import Auditor
from api.identity.passwords import Passwords
from api.identity.sessions import Sessions
from api.identity.tokens import Tokens
from domain.identity import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks, and how they get in."""

    identify: Callable[[HTTPConnection], Awaitable[Caller]]
    """Tells who asks; refuses whoever nobody knows."""

    sessions: Sessions
    accounts: Accounts
    passwords: Passwords
    tokens: Tokens
    auditor: Auditor
