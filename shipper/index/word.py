"""Words: the dictionary of texts, each kept once, as the writer fills it."""

from __future__ import annotations

import ipaddress
import sqlite3
from hashlib import blake2b

import msgspec
from msgspec import UNSET, Struct

from shipper.index.cell import WORD_CHARACTERS_MAX
from shipper.index.connection import WEB, Cell
from shipper.index.schema import COLUMNS, SHAPE_COLUMNS
from shipper.index.sql import ADD_SHAPE, ADD_WORD, FIND_SHAPE, FIND_WORD, MARK_SHAPE, MARK_WORD
from shipper.record import Record

WORDS_CACHED_MAX = 65_536
DAY_NS = 86_400_000_000_000
"""How exact ``words.used_ns`` is: a word in daily use is written once a day."""
_SHAPE_WIDTH = len(SHAPE_COLUMNS)
_IP_BIT = 1 << COLUMNS.index("ip")


class _Known(Struct):
    """A word or a shape as it stands in the database, within the transaction."""

    id: int
    uses: int
    used_ns: int


class Words:
    """Gives texts their ids within the writer's transaction. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._known: dict[str, _Known] = {}
        self._shapes: dict[tuple[Cell, ...], _Known] = {}
        self.web_ids = frozenset[int]()
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered of the database's words."""
        self._known.clear()
        self._shapes.clear()
        rows = (self._database.execute(FIND_WORD, (text,)).fetchone() for text in WEB)
        self.web_ids = frozenset(row[0] for row in rows if row is not None)

    def ids(self, texts: tuple[str | None, ...], stored_ns: int) -> tuple[int | None, ...]:
        """The ids of the texts of an event's columns, in the columns' order."""
        ids: list[int | None] = []
        known, bit = self._known, 1
        for text in texts:
            if text is None:
                ids.append(None)
            else:
                if len(text) > WORD_CHARACTERS_MAX:
                    text = text[:WORD_CHARACTERS_MAX]
                word = known.get(text)
                if word is None or not word.uses & bit or stored_ns - word.used_ns > DAY_NS:
                    word = self._mark(text, bit, stored_ns)
                ids.append(word.id)
            bit <<= 1
        return tuple(ids)

    def fold_shape(self, ids: tuple[Cell, ...], stored_ns: int) -> tuple[Cell, ...]:
        """The ids of all columns as they stand in a row: one shape, and the ids of the row's own columns."""
        key = ids[:_SHAPE_WIDTH]
        shape = self._shapes.get(key)
        if shape is None or stored_ns - shape.used_ns > DAY_NS:
            shape = self._mark_shape(key, stored_ns)
        return (shape.id, *ids[_SHAPE_WIDTH:])

    def _mark_shape(self, key: tuple[Cell, ...], stored_ns: int) -> _Known:
        packed = msgspec.msgpack.encode(key)
        row = self._database.execute(FIND_SHAPE, (packed,)).fetchone()
        if row is None:
            added = self._database.execute(ADD_SHAPE, (packed, stored_ns, *key)).lastrowid
            shape = _Known(int(added or 0), 0, stored_ns)
        else:
            shape = _Known(row[0], 0, max(row[1], stored_ns))
            self._database.execute(MARK_SHAPE, (stored_ns, shape.id))
        if len(self._shapes) >= WORDS_CACHED_MAX:
            self._shapes.clear()
        self._shapes[key] = shape
        return shape

    def _mark(self, text: str, bit: int, stored_ns: int) -> _Known:
        """Note in the database that ``text`` is used in the column of ``bit`` now."""
        packed = pack_address(text) if bit == _IP_BIT else None
        row = self._database.execute(FIND_WORD, (text,)).fetchone()
        if row is None:
            fold = text.lower()
            values = (text, None if fold == text else fold, packed, bit, stored_ns)
            word = _Known(int(self._database.execute(ADD_WORD, values).lastrowid or 0), bit, stored_ns)
            if text in WEB:
                self.web_ids |= {word.id}
        else:
            word = _Known(row[0], row[1] | bit, max(row[2], stored_ns))
            self._database.execute(MARK_WORD, (bit, stored_ns, packed, word.id))
        if len(self._known) >= WORDS_CACHED_MAX:
            self._known.clear()
        self._known[text] = word
        return word


def texts_of(record: Record) -> tuple[str | None, ...]:
    """The texts of a record in the order of the columns."""
    names = {} if record.names is UNSET else record.names
    extra = [value for value in record.extra.values() if isinstance(value, str)]
    return (
        record.type,
        record.method,
        record.app,
        record.organization_id,
        record.workspace_owner_id,
        record.workspace_id,
        record.workspace_name,
        record.agent_name,
        record.agent_id,
        names.get("workspace_owner"),
        names.get("organization"),
        names.get("template"),
        record.user_id,
        record.ip,
        record.user_agent,
        record.slug_or_port,
        record.disconnect_reason,
        names.get("user"),
        names.get("user_email"),
        "\n".join(extra) or None,
    )


def pack_address(text: str) -> bytes | None:
    """4 or 16 bytes of an address, None for a text that is none."""
    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return None


def pack_id(text: str | None) -> bytes | str | None:
    """16 bytes of an id of 32 hexadecimal digits, with or without a UUID's hyphens; other text in lower case."""
    if text is None:
        return None
    digits = text.replace("-", "")
    if len(digits) == 32 and len(text) in (32, 36):
        try:
            return bytes.fromhex(digits)
        except ValueError:
            pass
    return text.lower()


def unpack_id(packed: bytes | str | None) -> str | None:
    """The text of an id that ``pack_id`` packed: a UUID in its canonical form."""
    if not isinstance(packed, bytes):
        return packed
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def request_number(text: str | None) -> int | None:
    """48 bits of a request's id: of a UUID the first, of other text a hash's."""
    packed = pack_id(text)
    if packed is None:
        return None
    bits = packed if isinstance(packed, bytes) else blake2b(packed.encode(), digest_size=6).digest()
    return int.from_bytes(bits[:6], "big")
