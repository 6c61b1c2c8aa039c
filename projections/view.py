"""A view: rows that events are folded into, so that a question has a quick answer.

Each view is one file: its row, its fold, its SQL, its queries. All have the shape below, so that
following the log, rebuilding and verifying are written once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, LiteralString, TypeAlias, TypeVar

from domain.policies import Event
from domain.recorded import Recorded

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Key: TypeAlias = tuple[str | int, ...]
"""What names a row: the values of its key columns."""

R = TypeVar("R", bound="DataclassInstance")


@dataclass(frozen=True, slots=True, kw_only=True)
class View(Generic[R]):
    """One view, as far as those who keep it need to know it.

    Its row is a frozen dataclass of JSON values and datetimes, with the columns as its fields, and
    without slots (see ``changed``).
    """

    name: LiteralString
    version: int
    """Bumped when the fold or the columns change: a version has its own table and position."""

    row: type[R]
    key: tuple[LiteralString, ...]
    columns: LiteralString
    """The columns, as ``create table`` wants them."""

    indexes: tuple[LiteralString, ...] = ()
    """What to index beside the key, as ``create index`` wants it after the table's name."""

    hears: frozenset[type[Any]]
    """The events that can change a row; the others pass by."""

    keys: Callable[[Recorded[Event]], Sequence[Key]]
    """Which rows an event may touch."""

    fold: Callable[[Mapping[Key, R], Recorded[Event]], Iterable[tuple[Key, R | None]]]
    """From the touched rows that exist, and an event, to the rows as they are after it.

    None deletes a row. It is pure, and it may raise where the log contradicts itself."""

    is_a_log: bool = False
    """Whether every event makes a new row, so that there is nothing to load before."""

    @property
    def table(self) -> str:
        """The name of its table, in the schema ``views``."""
        return f"{self.name}_{self.version}"

    @property
    def follower(self) -> str:
        """The name under which its position is kept."""
        return f"view.{self.name}.{self.version}"


def fold_into(
    view: View[R], rows: dict[Key, R], heard: Sequence[Recorded[Event]]
) -> dict[Key, R | None]:
    """Fold events that a view hears into the rows they touch, and return what has changed."""
    changed: dict[Key, R | None] = {}
    for recorded in heard:
        for key, row in view.fold(rows, recorded):
            changed[key] = row
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
    return changed


AnyView: TypeAlias = View[Any]
"""A view whose rows are nobody's business here."""
