"""Words: the dictionary of texts, each kept once, as the writer fills it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import islice

import msgspec
from msgspec import UNSET

from shipper.index import sql
from shipper.index.cell import WORD_CHARACTERS_MAX
from shipper.index.connection import Cell
from shipper.index.schema import COLUMNS, KIND_COLUMNS, PLACE_COLUMNS
from shipper.query.kind import WEB
from shipper.record import Record

WORDS_CACHED_MAX = 262_144
"""Texts remembered with their ids over all columns; the oldest quarter goes when there are more."""
CACHED_CHARACTERS_MAX = 256
"""Longer texts are looked up each time, so that the cache has a bound in bytes too."""
GROUPS_CACHED_MAX = 131_072
DAY_NS = 86_400_000_000_000
"""How exact ``used_ns`` is: what is in daily use is written once a day."""

_IP = COLUMNS.index("ip")
_PLACE = len(KIND_COLUMNS)
_ROW = _PLACE + len(PLACE_COLUMNS)
Texts = tuple[str | None, ...]


class Words:
    """Gives texts their ids within the writer's transaction. ``forget`` must follow a rollback or a deletion."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._known: list[dict[str, int]] = [{} for _ in COLUMNS]
        self._row_known = self._known[_ROW:]
        self._count = 0
        self._kinds: dict[Texts, int] = {}
        self._places: dict[Texts, int] = {}
        self._expanded: dict[str, dict[int, tuple[Cell, ...]]] = {"kinds": {}, "places": {}}
        self._kinds_web: dict[int, bool] = {}
        self._day = -1
        self.cut = False
        """Set where a text was too long to be kept whole."""

    def forget(self) -> None:
        """Drop what is remembered of the database's words."""
        for known in self._known:
            known.clear()
        self._count = 0
        self._kinds.clear()
        self._places.clear()
        for expanded in self._expanded.values():
            expanded.clear()
        self._kinds_web.clear()

    def begin(self, stored_ns: int) -> None:
        """Before the texts of a batch that is stored at ``stored_ns``: on a new day all is marked as used again."""
        if stored_ns // DAY_NS != self._day:
            self.forget()
            self._day = stored_ns // DAY_NS

    def cells(self, record: Record, stored_ns: int) -> tuple[Cell, ...]:
        """The ids of a record as they stand in a row: of its kind, of its place, and of the row's own columns."""
        names = record.names
        owner = organization = template = user = email = None
        if names is not UNSET:
            owner, organization, template = map(names.get, ("workspace_owner", "organization", "template"))
            user, email = names.get("user"), names.get("user_email")
        kind = (record.type, record.method, record.app, record.agent_name, record.organization_id, organization)
        place = (
            record.workspace_owner_id, record.workspace_id, record.workspace_name, owner, template,
        )  # fmt: skip
        extra = None
        if record.extra:
            extra = "\n".join(value for value in record.extra.values() if isinstance(value, str)) or None
        kind_id = self._kinds.get(kind)
        if kind_id is None:
            kind_id = self._group(kind, 0, stored_ns)
        place_id = self._places.get(place)
        if place_id is None:
            place_id = self._group(place, _PLACE, stored_ns)
        agents, users, addresses, agent_names, slugs, reasons, user_names, emails, extras = self._row_known
        mark = self._mark
        # A line for each column: a loop over them takes three times as long, and this runs for every event.
        return (
            kind_id,
            place_id,
            None if (t := record.agent_id) is None else agents.get(t) or mark(t, _ROW, stored_ns),
            None if (t := record.user_id) is None else users.get(t) or mark(t, _ROW + 1, stored_ns),
            None if (t := record.ip) is None else addresses.get(t) or mark(t, _IP, stored_ns),
            None if (t := record.user_agent) is None else agent_names.get(t) or mark(t, _ROW + 3, stored_ns),
            None if (t := record.slug_or_port) is None else slugs.get(t) or mark(t, _ROW + 4, stored_ns),
            None if (t := record.disconnect_reason) is None else reasons.get(t) or mark(t, _ROW + 5, stored_ns),
            None if user is None else user_names.get(user) or mark(user, _ROW + 6, stored_ns),
            None if email is None else emails.get(email) or mark(email, _ROW + 7, stored_ns),
            None if extra is None else extras.get(extra) or mark(extra, _ROW + 8, stored_ns),
        )

    def expand(self, table: str, number: int) -> tuple[Cell, ...]:
        """The ids of the words of one of ``kinds`` or ``places``."""
        expanded = self._expanded[table]
        found = expanded.get(number)
        if found is None:
            statement = sql.GET_KIND if table == "kinds" else sql.GET_PLACE
            found = tuple(self._database.execute(statement, (number,)).fetchone())
            if len(expanded) >= GROUPS_CACHED_MAX:
                expanded.clear()
            expanded[number] = found
        return found

    def fold(self, table: str, ids: Sequence[Cell], stored_ns: int) -> int:
        """The number in ``kinds`` or ``places`` of words by their ids; added where it is new."""
        find, mark, add = _TABLES[table]
        key = msgspec.msgpack.encode(ids)
        row = self._database.execute(find, (key,)).fetchone()
        if row is None:
            return int(self._database.execute(add, (key, stored_ns, *ids)).lastrowid or 0)
        self._database.execute(mark, (stored_ns, row[0]))
        return int(row[0])

    def is_web(self, kind: int) -> bool:
        """Whether connections of a kind are points in time."""
        web = self._kinds_web.get(kind)
        if web is None:
            rows = (self._database.execute(sql.GET_WORD, (word,)).fetchone() for word in self.expand("kinds", kind)[:2])
            if len(self._kinds_web) >= GROUPS_CACHED_MAX:
                self._kinds_web.clear()
            web = self._kinds_web[kind] = any(row is not None and row[0] in WEB for row in rows)
        return web

    def _group(self, texts: Texts, first: int, stored_ns: int) -> int:
        ids = [
            None if text is None else self._known[column].get(text) or self._mark(text, column, stored_ns)
            for column, text in enumerate(texts, first)
        ]
        number = self.fold("places" if first else "kinds", ids, stored_ns)
        if all(text is None or len(text) <= CACHED_CHARACTERS_MAX for text in texts):
            groups = self._places if first else self._kinds
            if len(groups) >= GROUPS_CACHED_MAX:
                _drop_oldest(groups)
            groups[texts] = number
        return number

    def _mark(self, text: str, column: int, stored_ns: int) -> int:
        """The id of ``text``, noted in the database as used in a column now."""
        if len(text) > WORD_CHARACTERS_MAX:
            text, self.cut = text[:WORD_CHARACTERS_MAX], True
        bit = 1 << column
        row = self._database.execute(sql.FIND_WORD, (text,)).fetchone()
        if row is None:
            fold = text.lower()
            packed = pack_address(text) if column == _IP else None
            values = (text, None if fold == text else fold, packed, bit, stored_ns)
            word = int(self._database.execute(sql.ADD_WORD, values).lastrowid or 0)
        else:
            word = int(row[0])
            if not row[1] & bit or row[2] // DAY_NS < self._day:
                packed = pack_address(text) if column == _IP else None
                self._database.execute(sql.MARK_WORD, (bit, stored_ns, packed, word))
        if len(text) <= CACHED_CHARACTERS_MAX:
            known = self._known[column]
            known[text] = word
            self._count += 1
            if self._count > WORDS_CACHED_MAX:
                largest = max(self._known, key=len)
                self._count -= _drop_oldest(largest)
        return word


_TABLES = {
    "kinds": (sql.FIND_KIND, sql.MARK_KIND, sql.ADD_KIND),
    "places": (sql.FIND_PLACE, sql.MARK_PLACE, sql.ADD_PLACE),
}


def _drop_oldest(known: dict[Texts, int] | dict[str, int]) -> int:
    """Take the oldest quarter out; gives how many these were."""
    oldest = list(islice(known, len(known) // 4 + 1))
    for key in oldest:
        del known[key]  # type: ignore[arg-type]  # a key of this very dict
    return len(oldest)


def pack_address(text: str) -> bytes | None:
    """4 or 16 bytes of an address, None for a text that is none."""
    import ipaddress

    try:
        return ipaddress.ip_address(text).packed
    except ValueError:
        return None


def pack_id(text: str | None) -> bytes | str | None:
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
    if isinstance(packed, str):
        from hashlib import blake2b  # loads all of OpenSSL

        packed = blake2b(packed.encode(), digest_size=6).digest()
    return int.from_bytes(packed[:6], "big")
