"""``taskloom dlq`` on a database of its own, where nobody carries anything out."""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg_pool import AsyncConnectionPool

from bus.dead_letter_keeper import DeadLetter
from infra.cli.main import main
from infra.store.dead_letters import DeadLetterTable
from tests.api.test_dead_letters import dead, report
from tests.infra.cli.taskloom import Ended

LETTERS = [
    *(dead(number, report(number)) for number in range(4)),
    dead(4, b"\xff{", reason="malformed-json", shape="", detail="it is no JSON", type="x"),
]


async def keep(dsn: str, letters: list[DeadLetter]) -> None:
    pool: AsyncConnectionPool = AsyncConnectionPool(dsn, open=False)
    async with pool:
        await DeadLetterTable(pool).keep(letters)


@dataclass
class Command:
    """The command in this process, in a folder and with a database of its own."""

    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    folder: Path

    def __call__(self, *words: str, code: int = 0, editor: str = "false") -> Ended:
        self.patch.setattr(sys, "argv", ["taskloom", "dlq", *words])
        self.patch.setenv("EDITOR", editor)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capture.readouterr()
        assert ended.value.code == code, err
        return Ended(code=code, out=out, err=err)


@pytest.fixture
def dlq(
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Command:
    asyncio.run(keep(database, LETTERS))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKLOOM_DB__DSN", database)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("VISUAL", raising=False)
    return Command(capfd, monkeypatch, tmp_path)


def test_letters_are_listed_grouped_and_shown(dlq: Command) -> None:
    listed = dlq("list", "--limit", "2")
    assert "malformed-json" in listed.out
    assert "2 of 5 dead letters; go on with --before 4" in listed.err
    rest = dlq("list", "--before", "4", "--json").json
    assert [letter["id"] for letter in rest] == [3, 2, 1]
    assert dlq("list", "--since", "1 day", "--json").json == []
    assert len(dlq("list", "--since", "2026-01-20T12:03:00Z", "--json").json) == 2
    assert "neither a duration" in dlq("list", "--since", "often", code=2).err
    assert "status" in dlq("list", "--status", "lost", code=2).err
    groups = dlq("groups", "--json").json
    assert [(group["count"], group["reason"]) for group in groups] == [
        (4, "unknown-agent"),
        (1, "malformed-json"),
    ]
    shown = dlq("groups").out
    assert groups[0]["group"] in shown
    assert "no agent {agent_id} has registered" in shown
    letter = dlq("show", "1").out
    assert '"agent_id": "a0"' in letter
    assert "died      unknown-agent: no agent a0 has registered" in letter
    assert "there is no dead letter 99" in dlq("show", "99", code=3).err


def test_an_edit_shows_its_difference_and_keeps_what_came(dlq: Command) -> None:
    edited = dlq("edit", "1", "--set", "/data/agent_id=ann", "--why", "a typo")
    assert edited.out == '/data/agent_id: "a0" → "ann"\n'
    assert "dlq rehearse 1" in edited.err
    assert "nothing is changed" in dlq("edit", "1", "--set", "/data/agent_id=ann").err
    letter = dlq("show", "1", "--json").json
    assert letter["body"]["data"] == {"agent_id": "ann"}
    assert letter["original"]["data"] == {"agent_id": "a0"}
    assert letter["history"][-1]["why"] == "a typo"
    shown = dlq("show", "1").out
    assert "edited 1 times" in shown
    assert "as it came" in shown
    (dlq.folder / "body").write_bytes(b"{}")
    dlq("edit", "5", "--body", "body", "--key", "agent.status", "--message-id", "n")
    letter = dlq("show", "5", "--json").json
    assert (letter["body"], letter["original_base64"]) == ({}, "/3s=")
    assert (letter["routing_key"], letter["message_id"]) == ("agent.status", "n")
    for wrong in ("data=1", "/data", "/data/x/y=1", "/id/x=1"):
        dlq("edit", "2", "--set", wrong, code=2)


def test_a_letter_is_edited_in_the_editor_of_who_edits_it(dlq: Command) -> None:
    edited = dlq("edit", "2", editor="sed -i s/a1/ann/")
    assert '/data/agent_id: "a1" → "ann"' in edited.out
    assert "is no JSON" in dlq("edit", "3", editor="sed -i s/{/[/", code=2).err
    assert "nothing is changed" in dlq("edit", "3", editor="true").err
    assert "no text" in dlq("edit", "5", editor="true", code=2).err


def test_discarding_has_a_reason_and_says_which(dlq: Command) -> None:
    dlq("discard", "1", code=2)
    dlq("discard", "1", "--why", " ", code=2)
    dlq("discard", "--why", "no reason to keep them", code=2)
    assert dlq("discard", "1", "2", "--why", "a test").err == "2 letters are discarded\n"
    done = dlq("discard", "--reason", "malformed-json", "--why", "a test", "--json")
    assert done.json == {"discarded": 1}
    assert len(dlq("list", "--status", "discarded", "--json").json) == 3
    assert dlq("discard", "--all", "--why", "a test", "--json").json == {"discarded": 2}
    assert dlq("list").err == "no dead letters\n"
    assert dlq("groups").err == "no dead letters\n"
    assert dlq("rehearse").err == "no dead letters\n"


def test_the_rehearsal_is_told_by_group_and_by_letter(dlq: Command) -> None:
    told = dlq("rehearse")
    assert "0 of 5 letters would be accepted" in told.err
    assert "unknown-agent" in told.out
    lines = [json.loads(line) for line in dlq("rehearse", "--json").out.splitlines()]
    assert [line["reason"] for line in lines] == ["unknown-agent"] * 4 + ["invalid-unicode"]
    assert "no agent a0 has registered" in dlq("rehearse", "1").out


def test_an_export_is_one_line_a_letter(dlq: Command) -> None:
    dlq("export", "letters.jsonl")
    lines = (dlq.folder / "letters.jsonl").read_text().splitlines()
    letters = [json.loads(line) for line in lines]
    assert [letter["id"] for letter in letters] == [1, 2, 3, 4, 5]
    assert letters[0]["body"] == json.loads(report(0))
    assert letters[4]["body_base64"] == "/3s="
    assert dlq("export").out.splitlines() == lines
    assert dlq("export", "--reason", "none").out == ""


def test_a_redrive_that_nobody_carries_out_waits_and_can_be_cancelled(dlq: Command) -> None:
    dlq("redrive", code=2)
    assert dlq("redrives").err == "no redrives\n"
    words = ("--reason", "unknown-agent", "--rate", "5", "--canary", "2", "--why", "again")
    assert dlq("redrive", *words, "--no-wait").out == "1\n"
    asked = dlq("redrives", "1", "--json").json
    assert (asked["status"], asked["total"], asked["rate"], asked["canary"]) == ("running", 4, 5, 2)
    assert "again" in dlq("redrives").out
    assert "redrive 1 cancelled: 0 of 4 letters sent" in dlq("cancel", "1").out
    assert "there is no redrive 9" in dlq("cancel", "9", code=3).err
    assert "no letter" in dlq("redrive", "--reason", "none", code=3).err
    assert "there is no dead letter 99" in dlq("redrive", "99", code=3).err
