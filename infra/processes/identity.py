"""Puts the parts of identity together."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from api.identity.accounts import Accounts
from api.identity.attempts import Attempts
from api.identity.auditing import Auditor
from api.identity.callers import Callers
from api.identity.passwords import Passwords
from api.identity.ports import Identity
from api.identity.sessions import Sessions
from api.identity.tokens import Tokens, load_keys
from bus.ports import Clock
from bus.recorder import Outcome
from domain.policies import AnyReport
from domain.recorded import Report
from infra.settings import Settings


def signing_key(settings: Settings) -> Path:
    """Return where the key is that tokens are signed with."""
    return settings.identity.signing_key or settings.state_dir / "signing.pem"


def make_identity(
    settings: Settings,
    accounts: Accounts,
    record: Callable[[Report[AnyReport]], Awaitable[Outcome]],
    clock: Clock,
    new_id: Callable[[], str],
) -> Identity:
    """Return what the API needs to know who asks.

    Raises:
        BadSigningKey: A file with a key cannot be used.
    """
    tokens = Tokens(load_keys(signing_key(settings), *settings.identity.earlier_keys))
    passwords = Passwords()
    attempts = Attempts(
        per_account=settings.identity.logins, per_address=settings.identity.attempts
    )
    auditor = Auditor(record, clock, new_id)
    callers = Callers(accounts, tokens, attempts, auditor, clock)
    sessions = Sessions(accounts, passwords, tokens, attempts, auditor, clock, new_id)
    return Identity(
        identify=callers.identify,
        sessions=sessions,
        accounts=accounts,
        passwords=passwords,
        tokens=tokens,
        auditor=auditor,
    )
