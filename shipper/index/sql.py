"""The statements of the index. Values are always parameters; only names of our own columns are put into text."""

from __future__ import annotations

from functools import lru_cache

from shipper.index.schema import (
    COMPLETED,
    KIND_COLUMNS,
    ONGOING,
    PLACE_COLUMNS,
    POINT,
    ROW_COLUMNS,
    UNKNOWN,
)
from shipper.timestamp import NS_MIN

EVENT_STATEMENTS_MAX_COUNT = 64
"""Statements that add events remembered, by which columns a batch has."""

_kind_columns = ", ".join(KIND_COLUMNS)
_place_columns = ", ".join(PLACE_COLUMNS)
_row_columns = ", ".join(ROW_COLUMNS)
_kind_marks = ", ".join("?" * len(KIND_COLUMNS))
_place_marks = ", ".join("?" * len(PLACE_COLUMNS))
_row_marks = ", ".join("?" * len(ROW_COLUMNS))

# ---- facts, dictionaries -----------------------------------------------------------------------

GET_FACT = "SELECT value FROM facts WHERE name = ?"
SET_FACT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
ADD_DICTIONARY = "INSERT INTO dictionaries (id, data) VALUES (?, ?)"
GET_DICTIONARIES = "SELECT id, data FROM dictionaries ORDER BY id"

# ---- writing -----------------------------------------------------------------------------------

HAS_EVENT = (
    "SELECT 1 FROM events WHERE id >> 16 IN (SELECT value FROM json_each(?)) AND substr(event, 1, 4) = ? AND event = ?"
)
COUNT_EVENTS = "SELECT count(*) FROM events"
COUNT_PAIRED = "SELECT count(*) FROM connections WHERE connection_id IS NOT NULL"
ALL_EVENT_IDS = "SELECT event FROM events"
ALL_PAIRED = "SELECT connection_id, place, kind FROM connections WHERE connection_id IS NOT NULL"
GET_PRESENCE = "SELECT data FROM presence WHERE name = ?"
SET_PRESENCE = "INSERT OR REPLACE INTO presence (name, data) VALUES (?, ?)"
DROP_PRESENCE = "DELETE FROM presence"
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM events"
LAST_CONNECTION = "SELECT coalesce(max(id), 0) FROM connections"
ADD_BLOCK = "INSERT INTO blocks (id, events, stored_ns, data) VALUES (?, ?, ?, ?)"
_EVENT_COLUMNS = (
    *("id", "event", "time_ns", "ended", "connection", "request", "code", "session"),
    *("kind", "place", *ROW_COLUMNS),
)
EVENT_WORD = _EVENT_COLUMNS.index("kind")
"""The first of the columns of ``events`` that hold ids, for which ``add_events`` takes 0 as null."""
ADD_CONNECTION = (
    "INSERT INTO connections (connect_ns, disconnect_ns, duration_ns, state, first, second, "  # noqa: S608  # own names only
    f"code, session, kind, place, {_row_columns}, connection_id, id) "
    f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_row_marks}, ?, ?)"
)
# Of one event, whose row has all but two of the values: they need not be handed over twice. Where ids are no UUIDs.
ADD_ALONE = (
    "INSERT INTO connections (connect_ns, disconnect_ns, state, first, code, session, kind, place, "  # noqa: S608  # own names only
    f"{_row_columns}, id, connection_id) SELECT time_ns, CASE WHEN ended THEN time_ns END, ?, id, code, session, kind, "
    f"place, {_row_columns}, connection, ? FROM events WHERE id = ?"
)
# All of a batch, in half the time: from the number of its first event on, to that of its last, which kinds are points in
# time, 16 bytes of id for each, and those that stand for none.
_packed_id = "substr(?4, (id - ?1) * 16 + 1, 16)"
ADD_ALL_ALONE = (
    "INSERT INTO connections (connect_ns, disconnect_ns, state, first, code, session, kind, place, "  # noqa: S608  # own names only
    f"{_row_columns}, id, connection_id) SELECT time_ns, CASE WHEN ended THEN time_ns END, "
    f"CASE WHEN kind IN (SELECT value FROM json_each(?3)) THEN {POINT} WHEN ended THEN {COMPLETED} "
    f"WHEN time_ns = {NS_MIN} OR {_packed_id} = ?5 THEN {UNKNOWN} ELSE {ONGOING} END, id, code, session, kind, "
    f"place, {_row_columns}, connection, nullif({_packed_id}, ?5) "
    "FROM events WHERE id BETWEEN ?1 AND ?2"
)
# The same of all but some.
ADD_SOME_ALONE = f"{ADD_ALL_ALONE} AND id NOT IN (SELECT value FROM json_each(?6))"  # noqa: S608  # own names only
_set_cells = ", ".join(f"{name} = ?" for name in ("code", "session", "kind", "place", *ROW_COLUMNS))
# Without connect_ns: naming it would write its index anew, and it seldom changes.
CHANGE_CONNECTION = (
    f"UPDATE connections SET disconnect_ns = ?, duration_ns = ?, state = ?, first = ?, second = ?, {_set_cells} "  # noqa: S608  # own names only
    "WHERE id = ?"
)
MOVE_CONNECTION = "UPDATE connections SET connect_ns = ? WHERE id = ? AND connect_ns <> ?"
DROP_CONNECTION = "DELETE FROM connections WHERE id = ?"
FIND_CONNECTIONS = (
    "SELECT id, kind, place, first, second FROM connections WHERE id >> 16 IN (SELECT value FROM json_each(?)) "
    "AND substr(connection_id, 1, 4) = ? AND connection_id = ?"
)
_cells = f"code, session, kind, place, {_row_columns}"
PART = f"SELECT ended, time_ns, event, {_cells} FROM events WHERE id = ?"  # noqa: S608  # own names only
MORE_EVENTS = "SELECT event FROM more_events WHERE connection = ? AND spent = 0"
ALL_MORE_EVENTS = "SELECT event FROM more_events WHERE connection = ?"
ADD_MORE = "INSERT INTO more_events (connection, spent, event) VALUES (?, ?, ?)"
DROP_MORE = "DELETE FROM more_events WHERE connection = ?"
HAS_MORE = "SELECT 1 FROM more_events WHERE connection = ? LIMIT 1"
SPEND_MORE = "UPDATE more_events SET spent = 1 WHERE connection = ? AND spent = 0 AND event = ?"
CONNECTION_ROW = "SELECT connection_id, first, second, kind FROM connections WHERE id = ?"


def _many(statement: str) -> dict[int, str]:
    """A statement that asks for many keys, by how many."""
    return {count: statement.format(", ".join("?" * count)) for count in (1, 8, 64, 512)}


FIND_KINDS = _many("SELECT key, id, used_ns FROM kinds WHERE key IN ({})")
LAST_KIND = "SELECT coalesce(max(id), 0) FROM kinds"
GET_KIND = f"SELECT {_kind_columns} FROM kinds WHERE id = ?"  # noqa: S608  # own names only
ADD_KIND = f"INSERT INTO kinds (id, key, used_ns, {_kind_columns}) VALUES (?, ?, ?, {_kind_marks})"  # noqa: S608  # own names only
COUNT_KIND = "UPDATE kinds SET connections = connections + ? WHERE id = ?"
MARK_KIND = "UPDATE kinds SET used_ns = max(used_ns, ?) WHERE id = ?"
FIND_PLACES = _many("SELECT key, id, used_ns FROM places WHERE key IN ({})")
LAST_PLACE = "SELECT coalesce(max(id), 0) FROM places"
GET_PLACE = f"SELECT {_place_columns} FROM places WHERE id = ?"  # noqa: S608  # own names only
ADD_PLACE = f"INSERT INTO places (id, key, used_ns, {_place_columns}) VALUES (?, ?, ?, {_place_marks})"  # noqa: S608  # own names only
MARK_PLACE = "UPDATE places SET used_ns = max(used_ns, ?) WHERE id = ?"

FIND_WORDS = _many("SELECT text, id, uses, used_ns FROM words WHERE text IN ({})")
LAST_WORD = "SELECT coalesce(max(id), 0) FROM words"
ADD_WORD = "INSERT INTO words (id, text, fold, packed, uses, used_ns) VALUES (?, ?, ?, ?, ?, ?)"
MARK_WORD = "UPDATE words SET uses = uses | ?, used_ns = max(used_ns, ?), packed = coalesce(packed, ?) WHERE id = ?"

ADD_START = (
    "INSERT INTO starts (workspace, agent_name, agent, first_ns) VALUES (?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET first_ns = excluded.first_ns WHERE excluded.first_ns < first_ns"
)

ADD_GAP = "INSERT INTO gaps (stored_ns, from_ns, to_ns, body) VALUES (?, ?, ?, ?)"
ADD_NOTICE = 'INSERT INTO quarantine (stored_ns, time_ns, host, path, offset, line, "column", kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'

# ---- upkeep ------------------------------------------------------------------------------------

COUNTED_KINDS = "SELECT NULL{}, connections FROM kinds WHERE connections > 0 LIMIT ?"
MISCOUNTED_KINDS = (
    "SELECT count(*) FROM kinds LEFT JOIN (SELECT kind, count(*) AS found FROM connections GROUP BY kind) "
    "ON kind = kinds.id WHERE connections <> coalesce(found, 0)"
)
COUNT_BLOCKS = "SELECT count(*) FROM blocks"
BLOCKS = "SELECT id, events FROM blocks ORDER BY id"
BLOCKS_WITH_TIME = "SELECT id, events, stored_ns FROM blocks ORDER BY id"
BLOCKS_FROM = "SELECT id, events, stored_ns, data FROM blocks WHERE id >= ? ORDER BY id LIMIT ?"
COPY_GAPS = "INSERT INTO gaps (stored_ns, from_ns, to_ns, body) SELECT stored_ns, from_ns, to_ns, body FROM old.gaps"
COPY_FACT = "INSERT OR REPLACE INTO facts (name, value) SELECT name, value FROM old.facts WHERE name = ?"
_notice = 'stored_ns, time_ns, host, path, offset, line, "column", kind'
COPY_NOTICES = f"INSERT INTO quarantine ({_notice}) SELECT {_notice} FROM old.quarantine"  # noqa: S608  # own names only

# ---- expiry ------------------------------------------------------------------------------------

OLD_BLOCKS = "SELECT id, id + events - 1 FROM blocks WHERE stored_ns < ? ORDER BY stored_ns LIMIT ?"
FIRST_BLOCKS = "SELECT id, id + events - 1 FROM blocks ORDER BY stored_ns, id LIMIT ?"
OLDEST_BLOCK = "SELECT min(stored_ns) FROM blocks"
CONNECTIONS_OF_BLOCK = "SELECT DISTINCT connection FROM events WHERE id BETWEEN ? AND ?"
DROP_EVENTS_OF_BLOCK = "DELETE FROM events WHERE id BETWEEN ? AND ?"
DROP_BLOCK = "DELETE FROM blocks WHERE id = ?"
DROP_GAPS = "DELETE FROM gaps WHERE stored_ns < ?"
DROP_NOTICES = "DELETE FROM quarantine WHERE stored_ns < ?"
DROP_KINDS = "DELETE FROM kinds WHERE used_ns < ?"
DROP_PLACES = "DELETE FROM places WHERE used_ns < ?"
DROP_WORDS = "DELETE FROM words WHERE used_ns < ?"
DROP_STARTS = (
    "DELETE FROM starts WHERE workspace NOT IN (SELECT id FROM words) OR agent NOT IN (SELECT id FROM words) "
    "OR (agent_name <> 0 AND agent_name NOT IN (SELECT id FROM words))"
)

# ---- reading -----------------------------------------------------------------------------------

_segments = "id >> 16 IN (SELECT value FROM json_each(?))"
FIND_EVENT = f"SELECT id FROM events WHERE {_segments} AND substr(event, 1, 4) = ? AND event = ?"  # noqa: S608  # own names only
ENDS = "SELECT (SELECT min(id) FROM {table}), (SELECT max(id) FROM {table})"
FIRST_EVENTS = "SELECT first, second FROM connections WHERE id = ?"
_event_columns = ", ".join(f"events.{name}" for name in ROW_COLUMNS)
EVENT_CELLS = (
    f"SELECT event, connection_id, time_ns, ended, events.code, {_kind_columns}, {_place_columns}, {_event_columns} "  # noqa: S608  # own names only
    "FROM events JOIN kinds ON kinds.id = events.kind JOIN places ON places.id = events.place "
    "JOIN connections ON connections.id = connection WHERE events.id = ?"
)
BLOCK_CELLS = EVENT_CELLS.replace("SELECT event,", "SELECT events.id, event,").replace(
    "WHERE events.id = ?", "WHERE events.id BETWEEN ? AND ? ORDER BY events.id"
)
CONNECTIONS_BY_EVENT = (
    f"SELECT DISTINCT connection FROM events WHERE {_segments} AND substr(event, 1, 4) BETWEEN ? AND ? "  # noqa: S608  # own names only
    "AND event BETWEEN ? AND ? LIMIT ?"
)
CONNECTIONS_BY_KEY = (
    f"SELECT id FROM connections WHERE {_segments} AND substr(connection_id, 1, 4) BETWEEN ? AND ? "  # noqa: S608  # own names only
    "AND connection_id BETWEEN ? AND ? LIMIT ?"
)
CONNECTIONS_BY_SESSION = "SELECT DISTINCT connection FROM events WHERE session = ? LIMIT ?"
CONNECTIONS_BY_REQUEST = "SELECT DISTINCT connection FROM events WHERE request = ? LIMIT ?"
_anew = (
    "starts.workspace = (SELECT workspace FROM places WHERE places.id = connections.place) "
    "AND starts.agent_name = (SELECT coalesce(agent_name, 0) FROM kinds WHERE kinds.id = connections.kind) "
    "AND starts.agent <> connections.agent AND starts.first_ns > connections.connect_ns"
)
STARTED_ANEW = f"(connections.agent IS NOT NULL AND EXISTS (SELECT 1 FROM starts WHERE {_anew}))"  # noqa: S608  # own names only
"""That a row of ``connections`` began before its agent connected under another id."""
ANEW = f"SELECT min(first_ns) FROM connections, starts WHERE connections.id = ? AND {_anew}"  # noqa: S608  # own names only
GET_WORD = "SELECT text FROM words WHERE id = ?"
BLOCK_OF_EVENT = "SELECT id, data FROM blocks WHERE id <= ? ORDER BY id DESC LIMIT 1"
LAST_GAP = "SELECT max(to_ns) FROM gaps"
COUNT_GAPS = "SELECT count(*) FROM gaps WHERE to_ns >= ? AND from_ns <= ?"
GAPS = "SELECT body FROM gaps WHERE to_ns >= ? AND from_ns <= ? ORDER BY to_ns DESC, id DESC LIMIT ?"
NOTICED_OFFSETS = "SELECT DISTINCT offset FROM quarantine WHERE time_ns IS NOT NULL"
SETTLE_NOTICE = "DELETE FROM quarantine WHERE offset = ? AND time_ns = ? AND path IS ? AND host IS ?"
NOTICES = "SELECT id, path, host, offset, line, time_ns FROM quarantine"
DROP_NOTICE = "DELETE FROM quarantine WHERE id = ?"
COUNT_NOTICES = "SELECT count(*) FROM quarantine WHERE coalesce(time_ns, stored_ns) BETWEEN ? AND ?"
WORDS_CONTAINING = "SELECT id, uses FROM words WHERE instr(coalesce(fold, text), ?)"
WORDS_BEGINNING = "SELECT DISTINCT text FROM words WHERE uses & ? AND substr(coalesce(fold, text), 1, length(?)) = ? ORDER BY text LIMIT ?"
WORDS_EQUAL = "SELECT id FROM words WHERE text = ? AND fold IS NULL UNION ALL SELECT id FROM words WHERE fold = ?"
WORDS_ALL = "SELECT id, uses, text FROM words"
WORDS_HOLDING = "SELECT id, uses, text FROM words WHERE instr(text, ?)"
WORDS_OF_COLUMN = "SELECT DISTINCT coalesce(fold, text) FROM words WHERE uses & ? LIMIT ?"


@lru_cache(EVENT_STATEMENTS_MAX_COUNT)
def add_events(columns: tuple[int, ...]) -> str:
    """The statement that adds a row to ``events`` with these of its columns, by their places; the others are null."""
    names = ", ".join(_EVENT_COLUMNS[column] for column in columns)
    marks = ", ".join(
        f"CASE WHEN ?{at} THEN ?{at} END" if column >= EVENT_WORD else f"?{at}" for at, column in enumerate(columns, 1)
    )
    return f"INSERT INTO events ({names}) VALUES ({marks})"  # noqa: S608  # own names only


def select_rows(target: str, where: str, order: str) -> str:
    """Row ids of ``events`` or ``connections`` that meet ``where``; the last parameter is the limit, -1: none."""
    return f"SELECT id FROM {target} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608  # own names only
