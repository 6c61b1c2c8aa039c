"""``taskloom forget`` as its users start it, on a cluster of our own: it rewrites files of all."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from domain.goals import Goal, Options
from domain.plan import PlanCancelled, PlanCreated
from infra.cli.exits import Exit
from infra.migrations import upgrade
from infra.store.kek import Kek
from infra.store.store import PostgresStore
from tests.infra.cli.taskloom import Shell
from tests.support.databases import private_cluster
from tests.support.ground import Ground
from tests.support.recording import recorded

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    ground = Ground()
    try:
        dsn = private_cluster(ground)
        upgrade(dsn)
        yield dsn
    finally:
        ground.close()


async def test_whoever_is_forgotten_is_forgotten_by_every_verb(cluster: str, shell: Shell) -> None:
    here = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": cluster})
    created = PlanCreated(plan_id="plan_1", goal=Goal(title="Canary"), options=Options())
    cancelled = PlanCancelled(plan_id="plan_1", reason="canary too", runs=())
    kek = Kek.of_file(shell.folder / ".taskloom" / "keys" / "kek")
    async with PostgresStore(cluster, kek=kek) as store:
        past = [recorded("plan_1", 1, created), recorded("plan_1", 2, cancelled)]
        await store.append([replace(one, actor="users/ada") for one in past])
    assert "Canary" in here.run("events", "tail", "--json").out

    assert here.run("forget", "users/ada").code == Exit.FAILURE, "nobody has confirmed it"
    assert here.run("forget", "users/nobody", "--yes").code == Exit.NOT_FOUND
    done = here.run("forget", "users/ada", "--yes", "--json")
    assert done.code == Exit.OK, done.err
    assert (done.json["subject"], done.json["streams"]) == ("users/ada", 1)
    assert any("backups" in one for one in done.json["left"])

    shown = here.run("events", "tail", "--json").out
    assert "canary" not in shown.lower()
    assert "[forgotten]" in shown
    assert "subject.forgotten" in shown
    assert here.run("forget", "users/ada", "--yes").code == Exit.NOT_FOUND
    with psycopg.connect(cluster) as connection:
        row = connection.execute("select subject, streams from keys.forgotten").fetchone()
        assert row == ("users/ada", 1)
        assert connection.execute("show wal_recycle").fetchone() == ("on",)
