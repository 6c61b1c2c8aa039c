"""Copies of rows: folding would spend most of its time in ``dataclasses.replace`` otherwise."""

from typing import TYPE_CHECKING

__all__ = ["changed"]

if TYPE_CHECKING:
    from dataclasses import replace as changed
else:

    def changed(row: object, /, **changes: object) -> object:
        """Return a row with other values in some columns.

        It is ``dataclasses.replace``, and checked as such, for rows without slots.
        """
        copy = object.__new__(type(row))
        vars(copy).update(vars(row))
        vars(copy).update(changes)
        return copy
