"""A map that keeps its old versions: changing one key shares the rest.

It is ``rpds.HashTrieMap``, told to pydantic as the dict it looks like, so that a state that holds
one can be kept as a snapshot.
"""

from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from rpds import HashTrieMap

__all__ = ["PersistentMap"]

if TYPE_CHECKING:
    PersistentMap = HashTrieMap
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
