"""The schema of the index, as numbered migrations: never edited once released, only added to.

``PRAGMA user_version`` counts the migrations that were applied.
"""

from __future__ import annotations

_FIRST = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- What blocks were compressed with; a block names its dictionary inside.
CREATE TABLE dictionaries (id INTEGER PRIMARY KEY, data BLOB NOT NULL);

-- Whole records and their original lines, compressed together; one block was stored at one time.
-- A block has the id of its first event; the others follow it.
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY, events INTEGER NOT NULL, stored_ns INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX blocks_by_age ON blocks (stored_ns);

-- Each text once. fold: lower case, null where that is the text itself. packed: the bytes of an address.
-- uses: bit n is set where column n of events has it. used_ns: to the day, when it was last used.
CREATE TABLE words (
    id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, fold TEXT, packed BLOB,
    uses INTEGER NOT NULL, used_ns INTEGER NOT NULL
);

-- Words that go together in many rows: how was connected, and to what. key: their ids, packed.
CREATE TABLE kinds (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used_ns INTEGER NOT NULL, {kind_columns});
CREATE TABLE places (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used_ns INTEGER NOT NULL, {place_columns});

-- first and second: its events that came first; any others are in more_events.
CREATE TABLE connections (
    id INTEGER PRIMARY KEY, connection_id BLOB, connect_ns INTEGER NOT NULL, disconnect_ns INTEGER,
    duration_ns INTEGER, state INTEGER NOT NULL, first INTEGER NOT NULL, second INTEGER, code INTEGER, session BLOB,
    kind INTEGER NOT NULL, place INTEGER NOT NULL, {row_columns}
);
CREATE INDEX connections_by_time ON connections (connect_ns);
-- For counting only: few kinds, so that it grows at few places.
CREATE INDEX connections_by_kind ON connections (kind);
CREATE INDEX connections_by_key ON connections (connection_id) WHERE connection_id IS NOT NULL;

-- spent: 1 where the event can't change any more what its connection is, whatever else comes.
CREATE TABLE more_events (
    connection INTEGER NOT NULL, spent INTEGER NOT NULL, event INTEGER NOT NULL,
    PRIMARY KEY (connection, spent, event)
) WITHOUT ROWID;

-- request: 48 bits of the request's id, to find it by.
CREATE TABLE events (
    id INTEGER PRIMARY KEY, event BLOB NOT NULL, time_ns INTEGER NOT NULL, ended INTEGER NOT NULL,
    connection INTEGER NOT NULL, request INTEGER, code INTEGER, session BLOB,
    kind INTEGER NOT NULL, place INTEGER NOT NULL, {row_columns}
);
CREATE UNIQUE INDEX events_by_event ON events (event);
CREATE INDEX events_by_time ON events (time_ns);

CREATE TABLE gaps (
    id INTEGER PRIMARY KEY, stored_ns INTEGER NOT NULL, from_ns INTEGER NOT NULL, to_ns INTEGER NOT NULL,
    body BLOB NOT NULL
);

-- That a line could not be read, where, and what kind of reason; never the line itself.
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, stored_ns INTEGER NOT NULL, time_ns INTEGER, host TEXT, path TEXT, offset INTEGER,
    line INTEGER, "column" INTEGER, kind TEXT NOT NULL
);
"""

_FIRST_KIND_COLUMNS = ("type", "method", "app", "agent_name", "organization", "name_organization")
_FIRST_PLACE_COLUMNS = ("owner", "workspace", "workspace_name", "agent", "name_owner", "name_template")
_FIRST_ROW_COLUMNS = ("user", "ip", "user_agent", "slug", "reason", "name_user", "name_email", "extra")

MIGRATIONS: tuple[str, ...] = (
    _FIRST.format(
        kind_columns=", ".join(f"{name} INTEGER" for name in _FIRST_KIND_COLUMNS),
        place_columns=", ".join(f"{name} INTEGER" for name in _FIRST_PLACE_COLUMNS),
        row_columns=", ".join(f"{name} INTEGER" for name in _FIRST_ROW_COLUMNS),
    ),
)
"""Migration n (from 0) brings version n to n + 1."""

KIND_COLUMNS = _FIRST_KIND_COLUMNS
"""Columns of ``kinds`` that hold ids of words."""
PLACE_COLUMNS = _FIRST_PLACE_COLUMNS
"""Columns of ``places`` that hold ids of words."""
ROW_COLUMNS = _FIRST_ROW_COLUMNS
"""Columns of ``events`` and ``connections`` that hold ids of words."""
COLUMNS = (*KIND_COLUMNS, *PLACE_COLUMNS, *ROW_COLUMNS)
"""All of them, in the order of the bits of ``words.uses``."""

ONGOING, COMPLETED, UNKNOWN, POINT = range(4)
"""Values of ``connections.state``."""
STATE_NAMES = ("ongoing", "completed", "unknown", "point")
