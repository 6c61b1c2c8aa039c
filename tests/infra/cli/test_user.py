"""Users from the command line, straight in the database."""

import json

import psycopg

from tests.infra.cli.taskloom import Shell


def test_the_first_admin_is_made_past_the_api(shell: Shell, database: str) -> None:
    there = Shell(folder=shell.folder, env={"TASKLOOM_DB__DSN": database})
    made = there.run("user", "create", "Ada", "--admin", "--password-stdin", said="x" * 12 + "\n")
    assert made.code == 0, made
    [listed] = json.loads(there.run("user", "list", "--json").out)
    assert (listed["login"], listed["role"], listed["is_active"]) == ("ada", "admin", True)
    assert there.run("user", "create", "ada", "--password-stdin", said="y" * 12 + "\n").code == 4
    assert there.run("user", "create", "bob", "--password-stdin", said="short\n").code == 2
    assert there.run("user", "disable", "ada").code == 0
    assert there.run("user", "disable", "eve").code == 3
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select convert_from(state, 'utf8')::jsonb #>> '{event,act}',"
            " convert_from(state, 'utf8')::jsonb #>> '{meta,by}' from events"
            " order by notification_id"
        ).fetchall()
    assert [act for act, _ in rows] == ["user.created", "user.disabled"]
    assert all(actor.startswith("operators/") for _, actor in rows)
