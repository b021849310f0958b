"""The statements of the index. Values are always parameters; only names of our own columns are put into text."""

from __future__ import annotations

from shipper.index.schema import ROW_COLUMNS, SHAPE_COLUMNS

_shape_columns = ", ".join(SHAPE_COLUMNS)
_row_columns = ", ".join(ROW_COLUMNS)
_shape_marks = ", ".join("?" * len(SHAPE_COLUMNS))
_row_marks = ", ".join("?" * len(ROW_COLUMNS))

# ---- facts, dictionaries -----------------------------------------------------------------------

GET_FACT = "SELECT value FROM facts WHERE name = ?"
SET_FACT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
ADD_DICTIONARY = "INSERT INTO dictionaries (id, data) VALUES (?, ?)"
GET_DICTIONARIES = "SELECT id, data FROM dictionaries ORDER BY id"

# ---- writing -----------------------------------------------------------------------------------

HAS_EVENT = "SELECT 1 FROM events WHERE event = ?"
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM events"
LAST_CONNECTION = "SELECT coalesce(max(id), 0) FROM connections"
ADD_BLOCK = "INSERT INTO blocks (id, events, stored_ns, data) VALUES (?, ?, ?, ?)"
ADD_EVENT = (
    "INSERT INTO events (id, event, time_ns, ended, connection, request, code, session, shape, "  # noqa: S608  # own names only
    f"{_row_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {_row_marks})"
)
PUT_CONNECTION = (
    "INSERT OR REPLACE INTO connections (id, connection_id, connect_ns, disconnect_ns, duration_ns, state, "  # noqa: S608  # own names only
    f"code, session, shape, {_row_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {_row_marks})"
)
DROP_CONNECTION = "DELETE FROM connections WHERE id = ?"
FIND_CONNECTION = (
    "SELECT connections.id FROM connections JOIN shapes ON shapes.id = shape "
    "WHERE connection_id = ? AND workspace IS ? AND agent_name IS ?"
)
PARTS_OF_CONNECTION = (
    f"SELECT ended, time_ns, event, code, session, {_shape_columns}, {_row_columns} "  # noqa: S608  # own names only
    "FROM events JOIN shapes ON shapes.id = shape WHERE connection = ?"
)
CONNECTION_KEY = "SELECT connection_id FROM connections WHERE id = ?"

FIND_SHAPE = "SELECT id, used_ns FROM shapes WHERE key = ?"
ADD_SHAPE = f"INSERT INTO shapes (key, used_ns, {_shape_columns}) VALUES (?, ?, {_shape_marks})"  # noqa: S608  # own names only
MARK_SHAPE = "UPDATE shapes SET used_ns = max(used_ns, ?) WHERE id = ?"

FIND_WORD = "SELECT id, uses, used_ns FROM words WHERE text = ?"
ADD_WORD = "INSERT INTO words (text, fold, packed, uses, used_ns) VALUES (?, ?, ?, ?, ?)"
MARK_WORD = "UPDATE words SET uses = uses | ?, used_ns = max(used_ns, ?), packed = coalesce(packed, ?) WHERE id = ?"

ADD_GAP = "INSERT INTO gaps (stored_ns, from_ns, to_ns, body) VALUES (?, ?, ?, ?)"
ADD_NOTICE = 'INSERT INTO quarantine (stored_ns, time_ns, host, path, offset, line, "column", kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'

# ---- expiry ------------------------------------------------------------------------------------

OLD_BLOCKS = "SELECT id, id + events - 1 FROM blocks WHERE stored_ns < ? ORDER BY stored_ns LIMIT ?"
CONNECTIONS_OF_BLOCK = "SELECT DISTINCT connection FROM events WHERE id BETWEEN ? AND ?"
DROP_EVENTS_OF_BLOCK = "DELETE FROM events WHERE id BETWEEN ? AND ?"
DROP_BLOCK = "DELETE FROM blocks WHERE id = ?"
DROP_GAPS = "DELETE FROM gaps WHERE stored_ns < ?"
DROP_NOTICES = "DELETE FROM quarantine WHERE stored_ns < ?"
DROP_SHAPES = "DELETE FROM shapes WHERE used_ns < ?"
DROP_WORDS = "DELETE FROM words WHERE used_ns < ?"

# ---- reading -----------------------------------------------------------------------------------

FIND_EVENT = "SELECT id FROM events WHERE event = ?"
EVENTS_OF_CONNECTION = "SELECT id FROM events WHERE connection = ? ORDER BY id"
_event_columns = ", ".join(f"events.{name}" for name in ROW_COLUMNS)
EVENT_CELLS = (
    f"SELECT event, connection_id, time_ns, ended, events.code, {_shape_columns}, {_event_columns} "  # noqa: S608  # own names only
    "FROM events JOIN shapes ON shapes.id = events.shape "
    "JOIN connections ON connections.id = connection WHERE events.id = ?"
)
GET_WORD = "SELECT text FROM words WHERE id = ?"
BLOCK_OF_EVENT = "SELECT id, data FROM blocks WHERE id <= ? ORDER BY id DESC LIMIT 1"
LAST_GAP = "SELECT max(to_ns) FROM gaps"
COUNT_GAPS = "SELECT count(*) FROM gaps WHERE to_ns >= ? AND from_ns <= ?"
COUNT_NOTICES = "SELECT count(*) FROM quarantine WHERE coalesce(time_ns, stored_ns) BETWEEN ? AND ?"
WORDS_CONTAINING = "SELECT id, uses FROM words WHERE instr(coalesce(fold, text), ?)"
WORDS_ALL = "SELECT id, uses, text FROM words"
WORDS_OF_COLUMN = "SELECT DISTINCT coalesce(fold, text) FROM words WHERE uses & ? LIMIT ?"


def select_rows(target: str, where: str, order: str) -> str:
    """Row ids of ``events`` or ``connections`` that meet ``where``; the last parameter is the limit, -1: none."""
    return f"SELECT id FROM {target} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608  # own names only
