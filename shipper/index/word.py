"""Words: the dictionary of texts, each kept once, as the writer fills it."""

from __future__ import annotations

import ipaddress
import sqlite3

from msgspec import UNSET, Struct

from shipper.index.connection import WEB
from shipper.index.schema import COLUMNS
from shipper.index.sql import ADD_WORD, FIND_WORD, MARK_WORD
from shipper.record import Record

WORDS_CACHED_MAX = 65_536
WORD_CHARACTERS_MAX = 2048
"""What is searched of one text; the record itself is kept whole."""
DAY_NS = 86_400_000_000_000
"""How exact ``words.used_ns`` is: a word in daily use is written once a day."""
_IP_BIT = 1 << COLUMNS.index("ip")


class _Known(Struct):
    """A word as it stands in the database, within the transaction."""

    id: int
    uses: int
    used_ns: int


class Words:
    """Gives texts their ids within the writer's transaction. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._known: dict[str, _Known] = {}
        self.web_ids = frozenset[int]()
        self.forget()

    def forget(self) -> None:
        """Drop what is remembered of the database's words."""
        self._known.clear()
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
        record.user_id,
        record.ip,
        record.user_agent,
        record.slug_or_port,
        record.disconnect_reason,
        names.get("user"),
        names.get("user_email"),
        names.get("workspace_owner"),
        names.get("organization"),
        names.get("template"),
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
