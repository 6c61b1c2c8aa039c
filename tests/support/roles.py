"""A cluster of our own, whose services log in with roles of their own."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from infra.migrations import upgrade
from infra.postgres import SERVICES, grant
from tests.support.databases import private_cluster
from tests.support.ground import Ground

PASSWORDS = {role: f"the password of {role}" for role in SERVICES}


def as_role(dsn: str, role: str) -> str:
    """Return the connection URL of a role."""
    place = urlsplit(dsn)
    password = PASSWORDS[role].replace(" ", "%20")
    return urlunsplit(place._replace(netloc=f"{role}:{password}@{place.netloc.rpartition('@')[2]}"))


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The connection URL of the owner of a cluster in which roles have their rights."""
    ground = Ground()
    try:
        dsn = private_cluster(ground)
        upgrade(dsn)
        grant(dsn, PASSWORDS)
        yield dsn
    finally:
        ground.close()
