"""The key of a local stack: its owner is the admin ``local``, and finds it in the state folder.

So nothing is open by default, and whoever starts a stack here need not do anything for it.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from api.identity.secrets import digest_of, key_text, new_key_id, new_secret, split_key

FILE: Final = "admin.key"
USER: Final = "usr_local"
_LASTS: Final = timedelta(days=365)


def read_local_key(state_dir: Path) -> str | None:
    """Return the key that a stack has left under a folder, if it is whole."""
    try:
        text = (state_dir / FILE).read_text().strip()
    except FileNotFoundError:
        return None
    return text if split_key(text) else None


def local_key(state_dir: Path, dsn: str) -> str:
    """Return the key for a database, and see that the database knows it."""
    text = read_local_key(state_dir) or _write(state_dir / FILE)
    parts = split_key(text)
    if parts is None:  # pragma: no cover # we have just made it
        raise AssertionError(text)
    key_id, secret = parts
    now = datetime.now(UTC)
    with psycopg.connect(dsn) as connection:
        if (
            connection.execute("select from identity.users where user_id = %s", [USER]).fetchone()
            is None
        ):
            # Nobody knows its password: only the key opens this account.
            connection.execute(
                "insert into identity.users (user_id, login, name, password, role, created_at)"
                " values (%s, 'local', 'the owner of a local stack', '!', 'admin', %s)"
                " on conflict do nothing",
                [USER, now],
            )
        connection.execute(
            "insert into identity.keys"
            " (key_id, digest, owner, subject, role, name, created_at, expires_at)"
            " values (%(key)s, %(digest)s, %(user)s, %(user)s, 'admin', 'local stack',"
            " %(now)s, %(until)s)"
            " on conflict (key_id) do update set expires_at = excluded.expires_at",
            {
                "key": key_id,
                "digest": digest_of(secret),
                "user": USER,
                "now": now,
                "until": now + _LASTS,
            },
        )
    return text


def _write(file: Path) -> str:
    text = key_text(new_key_id(), new_secret())
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text + "\n")
    part.replace(file)
    return text
