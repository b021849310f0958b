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

_SECOND_PLACE_COLUMNS = ("owner", "workspace", "workspace_name", "name_owner", "name_template")
_SECOND_ROW_COLUMNS = ("agent", *_FIRST_ROW_COLUMNS)

# The id of an agent is a column of its own, since a workspace gets another with each of its starts.
# Keys without an order of their own (ids, places, addresses) are indexed segment by segment: what is added
# touches the pages of the last segment only, however large the index is. A question asks each segment.
_SECOND = """
CREATE TABLE new_places (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, used_ns INTEGER NOT NULL, {place_columns});
INSERT INTO new_places SELECT min(id), pack_ids({place_names}), max(used_ns), {place_names} FROM places GROUP BY {place_names};
CREATE TEMP TABLE moved_places AS
    SELECT places.id AS id, new_places.id AS place, places.agent AS agent
    FROM places JOIN new_places ON new_places.key = pack_ids({old_place_names});
CREATE UNIQUE INDEX temp.moved_places_by_id ON moved_places (id);

CREATE TABLE new_events (
    id INTEGER PRIMARY KEY, event BLOB NOT NULL, time_ns INTEGER NOT NULL, ended INTEGER NOT NULL,
    connection INTEGER NOT NULL, request INTEGER, code INTEGER, session BLOB,
    kind INTEGER NOT NULL, place INTEGER NOT NULL, {row_columns}
);
INSERT INTO new_events
    SELECT events.id, event, time_ns, ended, connection, request, code, session, kind, moved_places.place, agent, {old_row_names}
    FROM events JOIN moved_places ON moved_places.id = events.place ORDER BY events.id;
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX events_by_time ON events (time_ns);
CREATE INDEX events_by_event ON events (id >> 16, substr(event, 1, 4));

CREATE TABLE new_connections (
    id INTEGER PRIMARY KEY, connection_id BLOB, connect_ns INTEGER NOT NULL, disconnect_ns INTEGER,
    duration_ns INTEGER, state INTEGER NOT NULL, first INTEGER NOT NULL, second INTEGER, code INTEGER, session BLOB,
    kind INTEGER NOT NULL, place INTEGER NOT NULL, {row_columns}
);
INSERT INTO new_connections
    SELECT connections.id, connection_id, connect_ns, disconnect_ns, duration_ns, state, first, second, code, session,
        kind, moved_places.place, agent, {old_row_names}
    FROM connections JOIN moved_places ON moved_places.id = connections.place ORDER BY connections.id;
DROP TABLE connections;
ALTER TABLE new_connections RENAME TO connections;
CREATE INDEX connections_by_time ON connections (connect_ns);
CREATE INDEX connections_by_kind ON connections (kind);
CREATE INDEX connections_by_key ON connections (id >> 16, substr(connection_id, 1, 4)) WHERE connection_id IS NOT NULL;
CREATE INDEX connections_by_session ON connections (id >> 16, substr(session, 1, 4)) WHERE session IS NOT NULL;
CREATE INDEX connections_by_place ON connections (id >> 16, place);
CREATE INDEX connections_by_user ON connections (id >> 16, user) WHERE user IS NOT NULL;
CREATE INDEX connections_by_ip ON connections (id >> 16, ip) WHERE ip IS NOT NULL;

DROP TABLE temp.moved_places;
DROP TABLE places;
ALTER TABLE new_places RENAME TO places;

-- The bits of words.uses go by the columns' order.
UPDATE words SET uses =
    (uses & ~0xE00) | ((uses >> 9 & 1) << 11) | ((uses >> 10 & 1) << 9) | ((uses >> 11 & 1) << 10)
    WHERE uses & 0xE00;

-- Words are looked for in lower case; most are so themselves.
CREATE INDEX words_by_fold ON words (fold) WHERE fold IS NOT NULL;

-- What the writer remembers of the keys, while nobody writes.
CREATE TABLE presence (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
"""

# When each id of a workspace's agent first connected; agent_name 0: it has none. A connection that began under another id
# before that, and has no end, will not get one.
_THIRD = """
CREATE TABLE starts (
    workspace INTEGER NOT NULL, agent_name INTEGER NOT NULL, agent INTEGER NOT NULL, first_ns INTEGER NOT NULL,
    PRIMARY KEY (workspace, agent_name, agent)
) WITHOUT ROWID;
INSERT INTO starts
    SELECT workspace, coalesce(agent_name, 0), agent, min(time_ns)
    FROM events JOIN places ON places.id = events.place JOIN kinds ON kinds.id = events.kind
    WHERE agent IS NOT NULL AND workspace IS NOT NULL AND ended = 0 AND time_ns > -9223372036854775808 GROUP BY 1, 2, 3;
"""

# A count is kept for each kind: what it costs to write is less than an index of all connections, and less to ask.
_FOURTH = """
ALTER TABLE kinds ADD COLUMN connections INTEGER NOT NULL DEFAULT 0;
UPDATE kinds SET connections = (SELECT count(*) FROM connections WHERE kind = kinds.id);
DROP INDEX connections_by_kind;
"""

# What only questions ask for is indexed by smaller segments: what is added touches a fifth of the pages, while a question
# takes a look into each segment, which costs it little. And what was kept of the keys had another form.
_FIFTH = """
DROP INDEX connections_by_place;
DROP INDEX connections_by_user;
DROP INDEX connections_by_ip;
CREATE INDEX connections_by_place ON connections (id >> 13, place);
CREATE INDEX connections_by_user ON connections (id >> 13, user) WHERE user IS NOT NULL;
CREATE INDEX connections_by_ip ON connections (id >> 13, ip) WHERE ip IS NOT NULL;
DELETE FROM presence;
"""

# The tables stay as they are, but blocks hold records in a form that whoever knows five versions can't read.
_SIXTH = ""

MIGRATIONS: tuple[str, ...] = (
    _FIRST.format(
        kind_columns=", ".join(f"{name} INTEGER" for name in _FIRST_KIND_COLUMNS),
        place_columns=", ".join(f"{name} INTEGER" for name in _FIRST_PLACE_COLUMNS),
        row_columns=", ".join(f"{name} INTEGER" for name in _FIRST_ROW_COLUMNS),
    ),
    _SECOND.format(
        place_columns=", ".join(f"{name} INTEGER" for name in _SECOND_PLACE_COLUMNS),
        place_names=", ".join(_SECOND_PLACE_COLUMNS),
        old_place_names=", ".join(f"places.{name}" for name in _SECOND_PLACE_COLUMNS),
        row_columns=", ".join(f"{name} INTEGER" for name in _SECOND_ROW_COLUMNS),
        old_row_names=", ".join(_FIRST_ROW_COLUMNS),
    ),
    _THIRD,
    _FOURTH,
    _FIFTH,
    _SIXTH,
)
"""Migration n (from 0) brings version n to n + 1."""

KIND_COLUMNS = _FIRST_KIND_COLUMNS
"""Columns of ``kinds`` that hold ids of words."""
PLACE_COLUMNS = _SECOND_PLACE_COLUMNS
"""Columns of ``places`` that hold ids of words."""
ROW_COLUMNS = _SECOND_ROW_COLUMNS
"""Columns of ``events`` and ``connections`` that hold ids of words."""
COLUMNS = (*KIND_COLUMNS, *PLACE_COLUMNS, *ROW_COLUMNS)
"""All of them, in the order of the bits of ``words.uses``."""

SEGMENT_BITS = 16
"""Of an event's or a connection's number; the rest of it is its segment, as the indexes by key have it."""
WORD_SEGMENT_BITS = 13
"""The same for the indexes by words and places."""
KEY_BYTES = 4
"""What the indexes by key hold of an id; the row holds all of it."""

ONGOING, COMPLETED, UNKNOWN, POINT = range(4)
"""Values of ``connections.state``."""
STATE_NAMES = ("ongoing", "completed", "unknown", "point")
