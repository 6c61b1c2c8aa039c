"""Compressed bodies: how an agent that has agreed on it may send them, and how far they inflate."""

import gzip
import zlib
from typing import Final, Literal, get_args

from bus.refusals import Inflated, TooLarge, UnsupportedEncoding
from bus.strict_json import MAX_BYTES

Encoding = Literal["gzip"]
ENCODINGS: Final = frozenset(get_args(Encoding))

MAX_RATIO: Final = 20
"""How many bytes one byte may become: a report has at most about ten."""

_GZIP: Final = 16 + zlib.MAX_WBITS


def inflate(raw: bytes, *, max_bytes: int = MAX_BYTES, max_ratio: int = MAX_RATIO) -> bytes:
    """Return what a gzip body holds, without ever holding more than may be in it.

    Raises:
        Unreadable: It is no gzip, or becomes too much.
    """
    most = min(max_bytes, max_ratio * len(raw))
    reader = zlib.decompressobj(_GZIP)
    try:
        body = reader.decompress(raw, most + 1)
    except zlib.error as error:
        raise UnsupportedEncoding(f"the body is not gzip: {error}") from error
    if len(body) > max_bytes:
        raise TooLarge(f"the body inflates to more than {max_bytes} bytes")
    if len(body) > most:
        raise Inflated(f"the body inflates to more than {max_ratio} times its size")
    if not reader.eof or reader.unused_data:
        raise UnsupportedEncoding("the body is not one whole gzip member")
    return body


def deflate(body: bytes) -> bytes | None:
    """Return a body as gzip, or None where readers would refuse that."""
    packed = gzip.compress(body, compresslevel=6, mtime=0)
    return packed if len(packed) < len(body) <= MAX_RATIO * len(packed) else None
