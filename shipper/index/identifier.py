"""The identifier: ids as the index holds them, 16 bytes for what is a UUID, and back as text."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Sequence
from struct import unpack
from typing import TypeVar

from shipper.key import split_ids

Packed = bytes | str
_Made = TypeVar("_Made")
_TEXT, _HYPHENS = 36, (8, 13, 18, 23, 36)
"""A UUID's canonical text, and where hyphens stand in it where another follows behind one."""


def pack_id(text: str | None) -> Packed | None:
    """16 bytes of an id of 32 hexadecimal digits, with or without a UUID's hyphens; other text in lower case."""
    if text is None:
        return None
    if len(text) in (32, 36):
        digits = text.replace("-", "")
        try:
            if len(digits) == 32:
                return bytes.fromhex(digits)
        except ValueError:
            pass
    return text.lower()


def pack_ids(texts: Sequence[str | None]) -> list[Packed | None]:
    """``pack_id`` of each; many UUIDs at once take a tenth of the time."""
    known = [text for text in texts if text is not None] if None in texts else texts
    if not known:
        return [None] * len(texts)
    data = pack_uuids(known)  # type: ignore[arg-type]  # no None among them
    if data is None:
        return [pack_id(text) for text in texts]
    return _beside(texts, split_ids(data))  # type: ignore[return-value]  # bytes are of the kinds that may be there


def pack_uuids(texts: Sequence[str]) -> bytes | None:
    """16 bytes of each, one behind another; None where not all are UUIDs with their hyphens."""
    whole = "-".join((*texts, "")).encode(errors="replace")
    count = len(texts)
    if len(whole) != count * (_TEXT + 1) or whole.count(b"-") != 5 * count or set(map(len, texts)) != {_TEXT}:
        return None
    if any(whole[place :: _TEXT + 1].count(b"-") != count for place in _HYPHENS):
        return None
    try:
        return unhexlify(whole.translate(None, b"-"))
    except ValueError:
        return None


def uuid_numbers(data: bytes, places: Sequence[int]) -> tuple[int, ...]:
    """Of each of those that ``pack_uuids`` packed the number that its bytes at ``places`` make, of which there are eight at
    most, the highest first."""
    count = len(data) // 16
    picked = bytearray(8 * count)
    for at, place in enumerate(places, 8 - len(places)):
        picked[at::8] = data[place::16]
    return unpack(f">{count}Q", picked)


def unpack_id(packed: Packed | None) -> str | None:
    """The text of an id that ``pack_id`` packed: a UUID in its canonical form."""
    if not isinstance(packed, bytes):
        return packed
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def request_number(text: str | None) -> int | None:
    """48 bits of a request's id: of a UUID the first, of other text a hash's."""
    return _bits(pack_id(text))


def request_numbers(texts: Sequence[str | None]) -> list[int | None]:
    """``request_number`` of each."""
    known = [text for text in texts if text is not None] if None in texts else texts
    data = pack_uuids(known) if known else None  # type: ignore[arg-type]  # no None among them
    if data is None:
        return [request_number(text) for text in texts]
    return _beside(texts, uuid_numbers(data, range(6)))


def _beside(texts: Sequence[str | None], made: Sequence[_Made]) -> list[_Made | None]:
    """What was made of the texts, in their order, and None where there is none."""
    if len(made) == len(texts):
        return [*made]
    following = iter(made)
    return [None if text is None else next(following) for text in texts]


def _bits(packed: Packed | None) -> int | None:
    if packed is None:
        return None
    if isinstance(packed, str):
        from hashlib import blake2b  # loads all of OpenSSL

        packed = blake2b(packed.encode(), digest_size=6).digest()
    return int.from_bytes(packed[:6], "big")
