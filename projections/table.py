"""The rows of a view in PostgreSQL: loaded, folded and stored a batch at a time."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any, Final, Generic, TypeAlias

import orjson
from psycopg import AsyncConnection, sql

from domain.policies import Event
from domain.recorded import Recorded
from projections.view import Key, R, View, fold_into

Connection: TypeAlias = AsyncConnection[tuple[Any, ...]]

SCHEMA = "views"
ROWS_PER_STATEMENT = 10_000
_NUL: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""U+0000 as JSON escapes it, and not the six characters after a backslash."""


class Table(Generic[R]):
    """A table that holds the rows of a view: the live one, or another beside it."""

    def __init__(self, view: View[R], *, name: str | None = None, schema: str = SCHEMA) -> None:
        self.view = view
        self.name = name or view.table
        self.place = sql.Identifier(schema, self.name)
        self._names = tuple(field.name for field in fields(view.row))
        rest = [name for name in self._names if name not in view.key]
        parts = {
            "table": self.place,
            "columns": _listed(self._names),
            "key": _listed(view.key),
            "own": sql.SQL(", ").join(sql.Identifier("t", name) for name in self._names),
            "changes": sql.SQL(", ").join(
                sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest
            ),
        }
        # One JSON parameter carries a whole batch: psycopg writes typed arrays value by value.
        self._load = (
            sql.SQL(
                "select {own} from jsonb_populate_recordset(null::{table}, %s::jsonb) k"
                " join {table} t using ({key})"
            )
            .format(**parts)
            .as_bytes()
        )
        self._store = (
            sql.SQL(
                "insert into {table} ({columns})"
                " select {columns} from jsonb_populate_recordset(null::{table}, %s::jsonb)"
                " on conflict ({key}) do update set {changes}"
            )
            .format(**parts)
            .as_bytes()
        )
        self._delete = (
            sql.SQL(
                "delete from {table} where ({key}) in"
                " (select {key} from jsonb_populate_recordset(null::{table}, %s::jsonb))"
            )
            .format(**parts)
            .as_bytes()
        )

    async def create(self, connection: Connection) -> None:
        """Create the table with its indexes, unless it exists."""
        cursor = await connection.execute(
            "select to_regclass(%s)", [self.place.as_string(connection)]
        )
        if (await cursor.fetchone() or (None,))[0] is not None:
            return
        await connection.execute(
            sql.SQL("create table {} ({}, primary key ({}))").format(
                self.place, sql.SQL(self.view.columns), _listed(self.view.key)
            )
        )
        for index in self.view.indexes:
            # Unnamed: the table may be renamed, and PostgreSQL chooses a name that is free.
            await connection.execute(
                sql.SQL("create index on {} {}").format(self.place, sql.SQL(index))
            )

    async def fold(self, connection: Connection, events: Sequence[Recorded[Event]]) -> int:
        """Fold events into the rows, in the caller's transaction; return how many rows changed."""
        view = self.view
        heard = [recorded for recorded in events if type(recorded.event) in view.hears]
        if not heard:
            return 0
        rows: dict[Key, R] = {}
        if not view.is_a_log:
            touched = {key for recorded in heard for key in view.keys(recorded)}
            rows = await self._loaded(connection, touched)
        changed = fold_into(view, rows, heard)
        await self._write(connection, self._store, (row for row in changed.values() if row))
        gone = (self._named(key) for key, row in changed.items() if row is None)
        await self._write(connection, self._delete, gone)
        return len(changed)

    async def _loaded(self, connection: Connection, touched: Iterable[Key]) -> dict[Key, R]:
        at = [self._names.index(column) for column in self.view.key]
        rows: dict[Key, R] = {}
        keys = iter(touched)
        while some := [self._named(key) for key in islice(keys, ROWS_PER_STATEMENT)]:
            cursor = await connection.execute(self._load, [orjson.dumps(some).decode()])
            for values in await cursor.fetchall():
                row = self.view.row(**dict(zip(self._names, values, strict=True)))
                rows[tuple(values[index] for index in at)] = row
        return rows

    async def _write(
        self, connection: Connection, statement: bytes, rows: Iterable[object]
    ) -> None:
        remaining = iter(rows)
        while some := list(islice(remaining, ROWS_PER_STATEMENT)):
            await connection.execute(statement, [_text(some)])

    def _named(self, key: Key) -> dict[str, str | int]:
        return dict(zip(self.view.key, key, strict=True))


def _text(rows: Sequence[object]) -> str:
    """Return rows as JSON that PostgreSQL takes: one U+0000 in the log must not stop a view."""
    text = orjson.dumps(rows).decode()
    return _NUL.sub(r"\1\\ufffd", text) if "\\u0000" in text else text


def _listed(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
