"""Exchanges and their bindings: which destinations a message goes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from bus.embedded.errors import ChannelRefused
from bus.embedded.properties import headers_of
from bus.embedded.routing import TopicTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pamqp.common import FieldTable, FieldValue

    from bus.embedded.messages import Message

KINDS: Final = frozenset({"direct", "fanout", "topic", "headers"})
_HEADER_MATCHES: Final = frozenset({"all", "any", "all-with-x", "any-with-x"})

Destination: TypeAlias = tuple[bool, str]  # is it an exchange, and its name


@dataclass(slots=True, eq=False)
class Binding:
    """A rule that leads from an exchange to a queue or to another exchange."""

    destination: Destination
    routing_key: str
    arguments: FieldTable


@dataclass(slots=True, eq=False)
class Exchange:
    """A named set of bindings and the way they are matched."""

    name: str
    kind: str
    is_durable: bool = False
    is_auto_delete: bool = False
    is_internal: bool = False
    arguments: FieldTable = field(default_factory=dict[str, "FieldValue"])
    bindings: list[Binding] = field(default_factory=list[Binding])
    _table: TopicTable[Destination] | None = None

    @property
    def alternate(self) -> str | None:
        """The exchange that gets what no binding matches."""
        name = self.arguments.get("alternate-exchange")
        return name if isinstance(name, str) else None

    def bind(self, binding: Binding) -> bool:
        """Add a binding; say whether it is new.

        Raises:
            ChannelRefused: The arguments ask for a match that a headers exchange does not know.
        """
        how = binding.arguments.get("x-match", "all")
        if self.kind == "headers" and str(how) not in _HEADER_MATCHES:
            raise ChannelRefused(
                406,
                f"Invalid x-match field value {how!r}; expected all, any, all-with-x or any-with-x",
            )
        if self._find(binding) is not None:
            return False
        self.bindings.append(binding)
        self._table = None
        return True

    def unbind(self, binding: Binding) -> bool:
        """Take a binding out; say whether there was one."""
        found = self._find(binding)
        if found is None:
            return False
        self.bindings.remove(found)
        self._table = None
        return True

    def forget(self, destination: Destination) -> bool:
        """Take out all bindings to a destination that is gone; say whether there were any."""
        kept = [binding for binding in self.bindings if binding.destination != destination]
        had = len(kept) < len(self.bindings)
        self.bindings = kept
        self._table = None
        return had

    def match(self, message: Message, routing_key: str) -> Iterable[Destination]:
        """Return the destinations of a message with this routing key."""
        match self.kind:
            case "fanout":
                return [binding.destination for binding in self.bindings]
            case "headers":
                headers = headers_of(message.properties)
                return [each.destination for each in self.bindings if _meets(headers, each)]
            case "topic":
                if self._table is None:
                    self._table = TopicTable()
                    for binding in self.bindings:
                        self._table.add(binding.routing_key, binding.destination)
                return self._table.match(routing_key)
            case _:
                return [
                    binding.destination
                    for binding in self.bindings
                    if binding.routing_key == routing_key
                ]

    def _find(self, wanted: Binding) -> Binding | None:
        for binding in self.bindings:
            if (
                binding.destination == wanted.destination
                and binding.routing_key == wanted.routing_key
                and binding.arguments == wanted.arguments
            ):
                return binding
        return None


def _meets(headers: FieldTable, binding: Binding) -> bool:
    how = str(binding.arguments.get("x-match", "all"))
    wanted = {
        name: value
        for name, value in binding.arguments.items()
        if name != "x-match" and (how.endswith("-with-x") or not name.startswith("x-"))
    }
    met = (
        name in headers and (value is None or _equal(headers[name], value))
        for name, value in wanted.items()
    )
    return all(met) if how.startswith("all") else any(met)


def _equal(one: FieldValue, other: FieldValue) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and one == other
