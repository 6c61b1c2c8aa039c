"""A map and a queue that keep their old versions: a change shares the rest.

They are ``rpds.HashTrieMap`` and ``rpds.Queue``, told to pydantic as the dict and the list they
look like, so that a state that holds one can be kept as a snapshot.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from rpds import HashTrieMap, Queue

__all__ = ["PersistentMap", "PersistentQueue", "first_of", "rest_of"]

T = TypeVar("T")

if TYPE_CHECKING:
    PersistentMap = HashTrieMap
    PersistentQueue = Queue
else:

    class _AsDict:
        def __init__(self, types: Any) -> None:
            self._dict = dict[types]

        def __get_pydantic_core_schema__(
            self, source: Any, handler: GetCoreSchemaHandler
        ) -> CoreSchema:
            keys, values = get_args(self._dict)
            as_dict = core_schema.dict_schema(handler(keys), handler(values))
            return core_schema.no_info_after_validator_function(
                HashTrieMap,
                as_dict,
                serialization=core_schema.plain_serializer_function_ser_schema(
                    lambda persistent: dict(persistent.items()), return_schema=as_dict
                ),
            )

    class PersistentMap:
        """The run-time twin of the generic alias: ``rpds`` itself has no subscript."""

        def __class_getitem__(cls, types: Any) -> Any:
            return Annotated[HashTrieMap, _AsDict(types)]

        def __new__(cls, *args: Any) -> HashTrieMap:  # noqa: D102 # it is the map's own constructor
            return HashTrieMap(*args)

    class _AsList:
        def __init__(self, member: Any) -> None:
            self._list = list[member]

        def __get_pydantic_core_schema__(
            self, source: Any, handler: GetCoreSchemaHandler
        ) -> CoreSchema:
            as_list = core_schema.list_schema(handler(*get_args(self._list)))
            return core_schema.no_info_after_validator_function(
                Queue,
                as_list,
                serialization=core_schema.plain_serializer_function_ser_schema(
                    list, return_schema=as_list
                ),
            )

    class PersistentQueue:
        """The same for a queue."""

        def __class_getitem__(cls, member: Any) -> Any:
            return Annotated[Queue, _AsList(member)]

        def __new__(cls, *args: Any) -> Queue:  # noqa: D102 # it is the queue's own constructor
            return Queue(*args)


def first_of(queue: PersistentQueue[T]) -> T:
    """Return what is first in line; the queue must not be empty."""
    return next(iter(queue))


def rest_of(queue: PersistentQueue[T]) -> PersistentQueue[T]:
    """Return the queue without what is first in line."""
    rest: Any = queue.dequeue()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue] # its stub wants an argument, it takes none
    return cast("PersistentQueue[T]", rest)
