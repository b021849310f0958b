"""Every SQL statement of the journal, and its numbered migrations, which are never edited after a release."""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        """CREATE TABLE batches (
            seq INTEGER PRIMARY KEY, stored_ns INTEGER NOT NULL, count INTEGER NOT NULL,
            time_min TEXT, time_max TEXT, ids BLOB NOT NULL, records BLOB NOT NULL,
            originals BLOB NOT NULL, notices BLOB NOT NULL, checksum BLOB NOT NULL)""",
        "CREATE TABLE outputs (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, advanced_ns INTEGER) WITHOUT ROWID",
        "CREATE TABLE positions (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",
        """CREATE TABLE counters (source TEXT PRIMARY KEY, lines INTEGER NOT NULL, bytes INTEGER NOT NULL,
            entries INTEGER NOT NULL, stored INTEGER NOT NULL, duplicates INTEGER NOT NULL,
            malformed INTEGER NOT NULL, not_ours INTEGER NOT NULL, lookalikes INTEGER NOT NULL) WITHOUT ROWID""",
        "CREATE TABLE recent (n INTEGER PRIMARY KEY, ids BLOB NOT NULL)",
        """CREATE TABLE quarantine (n INTEGER PRIMARY KEY AUTOINCREMENT, stored_ns INTEGER NOT NULL,
            source TEXT NOT NULL, reason TEXT NOT NULL, line INTEGER NOT NULL, "column" INTEGER NOT NULL,
            length INTEGER NOT NULL, time TEXT, place BLOB NOT NULL, raw BLOB NOT NULL)""",
        "CREATE TABLE gaps (n INTEGER PRIMARY KEY AUTOINCREMENT, stored_ns INTEGER NOT NULL, body BLOB NOT NULL)",
        "CREATE TABLE drift (name TEXT PRIMARY KEY, first_ns INTEGER NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        "ALTER TABLE quarantine ADD COLUMN output TEXT",
        "ALTER TABLE quarantine ADD COLUMN code INTEGER",
        "ALTER TABLE quarantine ADD COLUMN textless INTEGER NOT NULL DEFAULT 0",
        # Kept by triggers, so that it is right whoever writes, and asking costs one row.
        """CREATE TABLE quarantine_size (count INTEGER NOT NULL, text_bytes INTEGER NOT NULL,
            place_bytes INTEGER NOT NULL, textless INTEGER NOT NULL, dropped INTEGER NOT NULL)""",
        """INSERT INTO quarantine_size SELECT COUNT(*), COALESCE(SUM(length(raw)), 0),
            COALESCE(SUM(length(reason) + length(place) + length(source) + 64), 0), 0,
            COALESCE((SELECT value FROM meta WHERE name = 'quarantine_dropped'), 0) FROM quarantine""",
        """CREATE TRIGGER quarantine_added AFTER INSERT ON quarantine BEGIN
            UPDATE quarantine_size SET count = count + 1, text_bytes = text_bytes + length(NEW.raw),
            place_bytes = place_bytes + length(NEW.reason) + length(NEW.place) + length(NEW.source) + 64,
            textless = textless + NEW.textless; END""",
        """CREATE TRIGGER quarantine_gone AFTER DELETE ON quarantine BEGIN
            UPDATE quarantine_size SET count = count - 1, text_bytes = text_bytes - length(OLD.raw),
            place_bytes = place_bytes - length(OLD.reason) - length(OLD.place) - length(OLD.source) - 64,
            textless = textless - OLD.textless; END""",
        """CREATE TRIGGER quarantine_renewed AFTER UPDATE OF reason ON quarantine BEGIN
            UPDATE quarantine_size SET place_bytes = place_bytes + length(NEW.reason) - length(OLD.reason); END""",
    ),
    ("ALTER TABLE counters ADD COLUMN changed_ns INTEGER NOT NULL DEFAULT 0",),
    ("CREATE TABLE feeds (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",),
    # What an output that takes batches apart needs: see outbox.py and delivered.py.
    (
        """CREATE TABLE taken (output TEXT NOT NULL, seq INTEGER NOT NULL, first INTEGER NOT NULL,
            until INTEGER NOT NULL, PRIMARY KEY (output, seq, first)) WITHOUT ROWID""",
        """CREATE TABLE channels (channel TEXT PRIMARY KEY, output TEXT NOT NULL, lane INTEGER NOT NULL,
            endpoint TEXT NOT NULL, last_ack INTEGER NOT NULL) WITHOUT ROWID""",
        """CREATE TABLE receipts (channel TEXT NOT NULL, ack INTEGER NOT NULL, seq INTEGER NOT NULL,
            first INTEGER NOT NULL, until INTEGER NOT NULL, output TEXT NOT NULL, sent_ns INTEGER NOT NULL,
            delivered INTEGER NOT NULL, PRIMARY KEY (channel, ack, seq, first)) WITHOUT ROWID""",
        """CREATE TABLE flights (output TEXT NOT NULL, lane INTEGER NOT NULL, events INTEGER NOT NULL,
            PRIMARY KEY (output, lane)) WITHOUT ROWID""",
        """CREATE TABLE tallies (output TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,
            PRIMARY KEY (output, name)) WITHOUT ROWID""",
        """CREATE TABLE again (n INTEGER PRIMARY KEY AUTOINCREMENT, output TEXT NOT NULL, stored_ns INTEGER NOT NULL,
            count INTEGER NOT NULL, records BLOB NOT NULL)""",
        """CREATE TABLE delivered (n INTEGER PRIMARY KEY AUTOINCREMENT, output TEXT NOT NULL,
            delivered_ns INTEGER NOT NULL, time_min TEXT NOT NULL, time_max TEXT NOT NULL, count INTEGER NOT NULL,
            ids BLOB NOT NULL, times BLOB NOT NULL)""",
        "CREATE INDEX delivered_by_time ON delivered (output, time_max)",
        "CREATE TABLE delivered_size (bytes INTEGER NOT NULL)",
        "INSERT INTO delivered_size VALUES (0)",
        """CREATE TRIGGER delivered_added AFTER INSERT ON delivered BEGIN
            UPDATE delivered_size SET bytes = bytes + length(NEW.ids) + length(NEW.times) + 128; END""",
        """CREATE TRIGGER delivered_gone AFTER DELETE ON delivered BEGIN
            UPDATE delivered_size SET bytes = bytes - length(OLD.ids) - length(OLD.times) - 128; END""",
    ),
    # A batch whose records are kept as an output sends them: see seal.py. NULL: records are zstd's, as they always were.
    (
        "ALTER TABLE batches ADD COLUMN wrap TEXT",
        "ALTER TABLE batches ADD COLUMN segments BLOB",
        "ALTER TABLE batches ADD COLUMN times BLOB",
    ),
    # A checksum of a batch may be of another kind: see ``blob.checksum``. What an output has done is written down by one
    # statement: each lets go of the interpreter, which then goes to the thread that reads, and comes back from another core.
    (
        """CREATE VIEW deeds AS SELECT '' AS output, 0 AS now_ns, 0 AS cursor, '' AS taken, '' AS flights, '' AS tallies,
            0 AS delivered_ns, '' AS time_min, '' AS time_max, 0 AS count, x'' AS ids, x'' AS times WHERE 0""",
        """CREATE TRIGGER deeds_done INSTEAD OF INSERT ON deeds BEGIN
            INSERT INTO delivered (output, delivered_ns, time_min, time_max, count, ids, times)
            SELECT NEW.output, NEW.delivered_ns, NEW.time_min, NEW.time_max, NEW.count, NEW.ids, NEW.times
            WHERE NEW.count > 0;
            INSERT INTO taken SELECT NEW.output, json_extract(value, '$[0]'), json_extract(value, '$[1]'),
            json_extract(value, '$[2]') FROM json_each(NEW.taken) WHERE 1
            ON CONFLICT (output, seq, first) DO UPDATE SET until = MAX(until, excluded.until);
            INSERT INTO outputs SELECT NEW.output, NEW.cursor, NEW.now_ns WHERE NEW.cursor IS NOT NULL
            ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, advanced_ns = excluded.advanced_ns;
            DELETE FROM taken WHERE output = NEW.output AND seq BETWEEN 0 AND NEW.cursor;
            DELETE FROM batches WHERE NEW.cursor IS NOT NULL AND seq <= (SELECT MIN(cursor) FROM outputs);
            INSERT INTO flights SELECT NEW.output, CAST(key AS INTEGER), value FROM json_each(NEW.flights) WHERE 1
            ON CONFLICT (output, lane) DO UPDATE SET events = excluded.events;
            INSERT INTO tallies SELECT NEW.output, key, value FROM json_each(NEW.tallies) WHERE 1
            ON CONFLICT (output, name) DO UPDATE SET value = value + excluded.value; END""",
    ),
)

SCHEMA_VERSION: Final = len(MIGRATIONS)

OPEN: Final = (
    "PRAGMA auto_vacuum=INCREMENTAL",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA temp_store=MEMORY",
    # Some builds of SQLite write zeros over every page that is given up: a third of all that is written here, though a
    # batch is deleted a moment after it was stored. What is written anyway is still cleaned.
    "PRAGMA secure_delete=FAST",
)
BEGIN: Final = "BEGIN IMMEDIATE"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
VERSION: Final = "PRAGMA user_version"
SET_VERSION: Final = tuple(f"PRAGMA user_version={number}" for number in range(SCHEMA_VERSION + 1))
GUEST: Final = ("PRAGMA synchronous=FULL", "PRAGMA temp_store=MEMORY")
CHECK: Final = "PRAGMA quick_check(1)"
ANY_BATCH: Final = "SELECT EXISTS (SELECT 1 FROM batches)"
SHRINK: Final = "PRAGMA incremental_vacuum(256)"
SHRINK_MORE: Final = "PRAGMA incremental_vacuum(16384)"
CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
PAGE_SIZE: Final = "PRAGMA page_size"
PAGE_COUNT: Final = "PRAGMA page_count"
FREE_COUNT: Final = "PRAGMA freelist_count"

SCHEMA: Final = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
GET_META: Final = "SELECT value FROM meta WHERE name = ?"
PUT_META: Final = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"

ADD_BATCH: Final = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
NEXT_BATCH: Final = "SELECT * FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"
FIRST_SEQ: Final = "SELECT MIN(seq) FROM batches"
LAST_STORED: Final = "SELECT stored_ns FROM batches ORDER BY seq DESC LIMIT 1"
DROP_BATCHES: Final = "DELETE FROM batches WHERE seq <= (SELECT MIN(cursor) FROM outputs)"
MOVE_BATCHES: Final = "UPDATE batches SET seq = -(seq + ?)"
TURN_BATCHES: Final = "UPDATE batches SET seq = -seq WHERE seq < 0"
MOVE_OUTPUTS: Final = "UPDATE outputs SET cursor = cursor + ?"
DEPTH: Final = """SELECT COUNT(*), COALESCE(SUM(count), 0),
    COALESCE(SUM(length(records) + length(originals) + length(notices) + length(ids)), 0), MIN(stored_ns)
    FROM batches"""
PENDING: Final = """SELECT o.name, o.cursor, o.advanced_ns, (SELECT COALESCE(SUM(b.count), 0) FROM batches b
    WHERE b.seq > o.cursor) FROM outputs o ORDER BY o.name"""

GET_OUTPUT: Final = "SELECT cursor FROM outputs WHERE name = ?"
PUT_OUTPUT: Final = """INSERT INTO outputs VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor,
    advanced_ns = COALESCE(excluded.advanced_ns, advanced_ns)"""
DROP_OUTPUT: Final = "DELETE FROM outputs WHERE name = ?"

ALL_POSITIONS: Final = "SELECT body FROM positions ORDER BY key"
ANY_FOLLOWED: Final = "SELECT EXISTS (SELECT 1 FROM positions WHERE substr(key, 1, ?) != ?)"
PUT_POSITION: Final = "INSERT INTO positions VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body"
DROP_POSITION: Final = "DELETE FROM positions WHERE key = ?"
ALL_FEEDS: Final = "SELECT body FROM feeds ORDER BY key"
PUT_FEED: Final = "INSERT INTO feeds VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body"

_COUNTERS_ROW = """SELECT source, lines, bytes, entries, stored, duplicates, malformed, not_ours, lookalikes
    FROM counters"""
ALL_COUNTERS: Final = _COUNTERS_ROW + " ORDER BY source"
OLDEST_COUNTERS: Final = _COUNTERS_ROW + " WHERE source != ? ORDER BY changed_ns, source LIMIT ?"
COUNT_COUNTERS: Final = "SELECT COUNT(*) FROM counters"
HAS_COUNTERS: Final = "SELECT EXISTS (SELECT 1 FROM counters WHERE source = ?)"
DROP_COUNTERS: Final = "DELETE FROM counters WHERE source = ?"
ADD_COUNTERS: Final = """INSERT INTO counters
    (source, lines, bytes, entries, stored, duplicates, malformed, not_ours, lookalikes, changed_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET
    lines = lines + excluded.lines, bytes = bytes + excluded.bytes, entries = entries + excluded.entries,
    stored = stored + excluded.stored, duplicates = duplicates + excluded.duplicates,
    malformed = malformed + excluded.malformed, not_ours = not_ours + excluded.not_ours,
    lookalikes = lookalikes + excluded.lookalikes, changed_ns = excluded.changed_ns"""

ALL_RECENT: Final = "SELECT n, ids FROM recent ORDER BY n"
LATER_RECENT: Final = "SELECT n, ids FROM recent WHERE n > ? ORDER BY n"
ADD_RECENT: Final = "INSERT INTO recent (ids) VALUES (?)"
DROP_RECENT: Final = "DELETE FROM recent WHERE n <= ?"
LAST_RECENT: Final = "SELECT COALESCE(MAX(n), 0) FROM recent"
RECENT_OF_BATCH: Final = "INSERT INTO recent (ids) SELECT ids FROM batches WHERE seq = ? AND length(ids) > 0"
RECENT_SIZES_BACK: Final = "SELECT n, length(ids) FROM recent ORDER BY n DESC"

ADD_QUARANTINE: Final = """INSERT INTO quarantine
    (stored_ns, source, reason, line, "column", length, time, place, raw, output, code, textless)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_QUARANTINE_ROW = """SELECT n, stored_ns, source, reason, line, "column", length, time, place, raw,
    output, code, textless FROM quarantine"""
ALL_QUARANTINE: Final = _QUARANTINE_ROW + " WHERE n > ? ORDER BY n LIMIT ?"
ONE_QUARANTINE: Final = _QUARANTINE_ROW + " WHERE n = ?"
SIZE_QUARANTINE: Final = "SELECT count, text_bytes, place_bytes, textless, dropped FROM quarantine_size"
# An event that an output refused is nowhere else any more: malformed entries make room first.
TRIM_QUARANTINE: Final = """DELETE FROM quarantine WHERE n IN
    (SELECT n FROM quarantine ORDER BY output IS NOT NULL, n LIMIT ?)"""
COUNT_TRIMMED: Final = "UPDATE quarantine_size SET dropped = dropped + ?"
DROP_QUARANTINE: Final = "DELETE FROM quarantine WHERE n = ?"
RENEW_QUARANTINE: Final = 'UPDATE quarantine SET reason = ?, "column" = ? WHERE n = ?'

ADD_GAP: Final = "INSERT INTO gaps (stored_ns, body) VALUES (?, ?)"
TRIM_GAPS: Final = "DELETE FROM gaps WHERE n <= (SELECT MAX(n) FROM gaps) - ?"
LAST_GAPS: Final = "SELECT body FROM gaps ORDER BY n DESC LIMIT ?"
COUNT_GAPS: Final = "SELECT COALESCE(MAX(n), 0) FROM gaps"

COUNT_DRIFT: Final = "SELECT COUNT(*) FROM drift WHERE name >= ?1 || ':' AND name < ?1 || ';'"
ADD_DRIFT: Final = "INSERT INTO drift VALUES (?, ?, ?)"
UP_DRIFT: Final = "UPDATE drift SET count = count + 1 WHERE name = ?"
ALL_DRIFT: Final = "SELECT name, first_ns, count FROM drift ORDER BY first_ns, name"

SALVAGE_BATCHES: Final = "SELECT * FROM batches ORDER BY seq"
SALVAGE_BATCHES_BACK: Final = "SELECT * FROM batches ORDER BY seq DESC"
SALVAGE_OUTPUTS: Final = "SELECT name, cursor, advanced_ns FROM outputs"
SALVAGE_QUARANTINE: Final = "SELECT * FROM quarantine ORDER BY n"
SALVAGE_GAPS: Final = "SELECT n, stored_ns, body FROM gaps ORDER BY n"
SALVAGE_DRIFT: Final = "SELECT name, first_ns, count FROM drift"
