"""The statements of the index. Values are always parameters; only names of our own columns are put into text."""

from __future__ import annotations

from shipper.index.schema import COLUMNS

_columns = ", ".join(COLUMNS)
_marks = ", ".join("?" * len(COLUMNS))

# ---- facts, dictionaries -----------------------------------------------------------------------

GET_FACT = "SELECT value FROM facts WHERE name = ?"
SET_FACT = "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
ADD_DICTIONARY = "INSERT INTO dictionaries (id, data) VALUES (?, ?)"
GET_DICTIONARIES = "SELECT id, data FROM dictionaries ORDER BY id"

# ---- writing -----------------------------------------------------------------------------------

HAS_EVENT = "SELECT 1 FROM events WHERE event = ?"
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM events"
LAST_CONNECTION = "SELECT coalesce(max(id), 0) FROM connections"
LAST_BLOCK = "SELECT coalesce(max(id), 0) FROM blocks"
ADD_BLOCK = "INSERT INTO blocks (id, stored_ns, data) VALUES (?, ?, ?)"
ADD_EVENT = (
    "INSERT INTO events (id, event, time_ns, ended, block, place, connection, request, code, session, "
    f"{_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_marks})"  # noqa: S608  # own names
)
PUT_CONNECTION = (
    "INSERT OR REPLACE INTO connections (id, connection_id, connect_ns, disconnect_ns, duration_ns, state, "
    f"code, session, {_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, {_marks})"  # noqa: S608  # own names
)
DROP_CONNECTION = "DELETE FROM connections WHERE id = ?"
FIND_CONNECTION = "SELECT id FROM connections WHERE connection_id = ? AND workspace IS ? AND agent_name IS ?"
PARTS_OF_CONNECTION = f"SELECT ended, time_ns, event, code, session, {_columns} FROM events WHERE connection = ?"  # noqa: S608
CONNECTION_KEY = "SELECT connection_id FROM connections WHERE id = ?"

FIND_WORD = "SELECT id, uses, used_ns FROM words WHERE text = ?"
ADD_WORD = "INSERT INTO words (text, fold, packed, uses, used_ns) VALUES (?, ?, ?, ?, ?)"
MARK_WORD = "UPDATE words SET uses = uses | ?, used_ns = max(used_ns, ?), packed = coalesce(packed, ?) WHERE id = ?"

ADD_GAP = "INSERT INTO gaps (stored_ns, from_ns, to_ns, body) VALUES (?, ?, ?, ?)"
ADD_NOTICE = 'INSERT INTO quarantine (stored_ns, time_ns, host, path, offset, line, "column", kind) VALUES (?, ?, ?, ?, ?, ?, ?, ?)'

# ---- expiry ------------------------------------------------------------------------------------

OLD_BLOCKS = "SELECT id FROM blocks WHERE stored_ns < ? ORDER BY stored_ns LIMIT ?"
CONNECTIONS_OF_BLOCK = "SELECT DISTINCT connection FROM events WHERE block = ?"
DROP_EVENTS_OF_BLOCK = "DELETE FROM events WHERE block = ?"
DROP_BLOCK = "DELETE FROM blocks WHERE id = ?"
DROP_GAPS = "DELETE FROM gaps WHERE stored_ns < ?"
DROP_NOTICES = "DELETE FROM quarantine WHERE stored_ns < ?"
DROP_WORDS = "DELETE FROM words WHERE used_ns < ?"

# ---- reading -----------------------------------------------------------------------------------

FIND_EVENT = "SELECT block, place FROM events WHERE event = ?"
EVENT_PLACE = "SELECT block, place FROM events WHERE id = ?"
CONNECTION_PLACES = "SELECT block, place FROM events WHERE connection = ? ORDER BY id"
GET_BLOCK = "SELECT data FROM blocks WHERE id = ?"
LAST_GAP = "SELECT max(to_ns) FROM gaps"
COUNT_GAPS = "SELECT count(*) FROM gaps WHERE to_ns >= ? AND from_ns <= ?"
COUNT_NOTICES = "SELECT count(*) FROM quarantine WHERE coalesce(time_ns, stored_ns) BETWEEN ? AND ?"
WORDS_CONTAINING = "SELECT id, uses FROM words WHERE instr(coalesce(fold, text), ?)"
WORDS_ALL = "SELECT id, uses, text FROM words"
WORDS_OF_COLUMN = "SELECT DISTINCT coalesce(fold, text) FROM words WHERE uses & ? LIMIT ?"


def select_rows(target: str, where: str, order: str) -> str:
    """Row ids of ``events`` or ``connections`` that meet ``where``; the last parameter is the limit, -1: none."""
    return f"SELECT id FROM {target} WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608  # own names only
