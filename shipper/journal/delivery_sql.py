"""Every SQL statement of the outboxes and of the ledger of what was delivered; their tables are made in ``sql``."""

from __future__ import annotations

from typing import Final

GET_CURSOR: Final = "SELECT cursor FROM outputs WHERE name = ?"
ALL_TAKEN: Final = "SELECT seq, first, until FROM taken WHERE output = ? ORDER BY seq, first"
ADD_TAKEN: Final = """INSERT INTO taken VALUES (?, ?, ?, ?)
    ON CONFLICT (output, seq, first) DO UPDATE SET until = MAX(until, excluded.until)"""
DROP_TAKEN_AT: Final = "DELETE FROM taken WHERE output = ? AND seq = ?"

DO: Final = "INSERT INTO deeds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
"""All that a usual request changes, atomic by itself; see ``deeds`` in ``sql``."""

ALL_CHANNELS: Final = "SELECT channel, lane, endpoint, last_ack FROM channels WHERE output = ? ORDER BY channel"
PUT_CHANNEL: Final = """INSERT INTO channels VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (channel) DO UPDATE SET last_ack = excluded.last_ack"""
DROP_CHANNEL: Final = "DELETE FROM channels WHERE channel = ?"

ALL_RECEIPTS: Final = """SELECT channel, ack, sent_ns, delivered, seq, first, until FROM receipts WHERE output = ?
    ORDER BY sent_ns, channel, ack, seq, first"""
ADD_RECEIPT: Final = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DROP_RECEIPT: Final = "DELETE FROM receipts WHERE channel = ? AND ack = ?"

ALL_FLIGHTS: Final = "SELECT COALESCE(SUM(events), 0) FROM flights WHERE output = ?"
DROP_FLIGHTS: Final = "DELETE FROM flights WHERE output = ?"

# Not what is in the ledger already and waits for its acknowledgement.
LAST_DELIVERED: Final = """SELECT delivered_ns FROM delivered WHERE output = ?1
    AND n NOT IN (SELECT delivered FROM receipts WHERE output = ?1) ORDER BY n DESC LIMIT 1"""
ALL_TALLIES: Final = "SELECT name, value FROM tallies WHERE output = ?"
ADD_TALLY: Final = """INSERT INTO tallies VALUES (?, ?, ?)
    ON CONFLICT (output, name) DO UPDATE SET value = value + excluded.value"""

ADD_AGAIN: Final = "INSERT INTO again (output, stored_ns, count, records) VALUES (?, ?, ?, ?)"
NEXT_AGAIN: Final = "SELECT n, stored_ns, count, records FROM again WHERE output = ? AND n > ? ORDER BY n LIMIT 1"
ONE_AGAIN: Final = "SELECT n, stored_ns, count, records FROM again WHERE output = ? AND n = ?"
COUNT_AGAIN: Final = "SELECT COALESCE(SUM(count), 0) FROM again WHERE output = ?"
DROP_AGAIN: Final = "DELETE FROM again WHERE n = ?"

NEXT_SEALED: Final = "SELECT * FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"
ONE_SEALED: Final = "SELECT * FROM batches WHERE seq = ?"
LAST_STORED: Final = "SELECT seq FROM batches WHERE stored_ns <= ? ORDER BY seq DESC LIMIT 1"

FORGET: Final = tuple(
    f"DELETE FROM {table} WHERE output = ?"  # noqa: S608  # own names
    for table in ("taken", "channels", "receipts", "flights", "tallies", "again")
)
FORGET_DELIVERED: Final = "DELETE FROM delivered WHERE output = ? AND delivered_ns = 0"
MOVED_TAKEN: Final = "SELECT output, seq, first, until FROM taken WHERE seq > 0"
CLEAR_TAKEN: Final = "DELETE FROM taken WHERE seq > 0"
MOVED_RECEIPTS: Final = "SELECT * FROM receipts WHERE seq > 0"
CLEAR_RECEIPTS: Final = "DELETE FROM receipts WHERE seq > 0"

ADD_DELIVERED: Final = """INSERT INTO delivered (output, delivered_ns, time_min, time_max, count, ids, times)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
CONFIRM_DELIVERED: Final = "UPDATE delivered SET delivered_ns = ? WHERE n = ?"
DROP_DELIVERED: Final = "DELETE FROM delivered WHERE n = ?"
DELIVERED_BYTES: Final = "SELECT bytes FROM delivered_size"
DROP_OLDEST_DELIVERED: Final = """DELETE FROM delivered WHERE n IN
    (SELECT n FROM delivered WHERE delivered_ns > 0 ORDER BY n LIMIT ?)"""
EXPIRE_DELIVERED: Final = """DELETE FROM delivered WHERE n IN
    (SELECT n FROM delivered WHERE delivered_ns BETWEEN 1 AND ? ORDER BY n LIMIT 1000)"""
SMALL_DELIVERED: Final = """SELECT n, delivered_ns, time_min, time_max, count, ids, times FROM delivered
    WHERE output = ? AND n > ? AND count < ? AND delivered_ns BETWEEN 1 AND ? ORDER BY n LIMIT ?"""
DELIVERED_IN: Final = """SELECT delivered_ns, ids, times FROM delivered
    WHERE output = ? AND time_max >= ? AND time_min <= ? AND delivered_ns > 0 ORDER BY n"""
DELIVERED_SUMMARY: Final = """SELECT o.name,
    (SELECT COALESCE(SUM(count), 0) FROM delivered d WHERE d.output = o.name AND delivered_ns > 0),
    (SELECT COALESCE(SUM(count), 0) FROM delivered d WHERE d.output = o.name AND delivered_ns = 0),
    (SELECT MIN(delivered_ns) FROM delivered d WHERE d.output = o.name AND delivered_ns > 0)
    FROM outputs o ORDER BY o.name"""
HAS_OUTPUT: Final = "SELECT EXISTS (SELECT 1 FROM outputs WHERE name = ?)"

SINCE_SCHEMA: Final = 5
"""The schema that brought these tables."""
SALVAGED: Final = (
    ("SELECT output, seq, first, until FROM taken WHERE seq > 0 ORDER BY output, seq", ADD_TAKEN),
    ("SELECT output, name, value FROM tallies", ADD_TALLY),
    ("SELECT output, stored_ns, count, records FROM again ORDER BY n", ADD_AGAIN),
    (
        """SELECT output, delivered_ns, time_min, time_max, count, ids, times FROM delivered
        WHERE delivered_ns > 0 ORDER BY n""",
        ADD_DELIVERED,
    ),
)
"""What is read of a damaged journal, and how it is written into the new one."""
