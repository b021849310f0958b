"""The key: an id as 16 bytes, many of them one behind another."""

from __future__ import annotations

import struct
from itertools import chain

ID_BYTES = 16
_MANY = struct.Struct(128 * f"{ID_BYTES}s")
"""So many at once: an id alone costs three times as much."""


def split_ids(ids: bytes) -> list[bytes]:
    """The ids of a joined list, 16 bytes each."""
    whole = len(ids) - len(ids) % _MANY.size
    keys = list(chain.from_iterable(_MANY.iter_unpack(ids[:whole])))
    keys += [key for (key,) in struct.iter_unpack(f"{ID_BYTES}s", ids[whole:])]
    return keys
