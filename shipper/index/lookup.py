"""The lookup: connections by any id that belongs to them, whole or by its first digits."""

from __future__ import annotations

import re
from pathlib import Path

from shipper.index import sql
from shipper.index.connection import Connection
from shipper.index.failure import translated
from shipper.index.identifier import pack_id, request_number
from shipper.index.reader import IndexReader
from shipper.index.schema import KEY_BYTES
from shipper.index.segment import segments

DIGITS_MIN = 8
_match_start = re.compile(rf"[0-9a-f](?:-?[0-9a-f]){{{DIGITS_MIN - 1},31}}").fullmatch


def find_connections(reader: IndexReader, path: Path, text: str, limit: int) -> list[Connection]:
    """At most ``limit`` connections that have an id ``text`` or one that begins with these eight or more digits: of an
    event or of the connection; where there is none, those of a client's session or a request with the whole id."""
    text = text.strip().lower()
    with translated(path):
        database = reader.view()
        numbers: list[int] = []
        if _match_start(text):
            digits = text.replace("-", "")
            low, high = bytes.fromhex(f"{digits:0<32}"), bytes.fromhex(f"{digits:f<32}")
            for statement, table in ((sql.CONNECTIONS_BY_EVENT, "events"), (sql.CONNECTIONS_BY_KEY, "connections")):
                ends = (segments(database, table), low[:KEY_BYTES], high[:KEY_BYTES], low, high, limit)
                numbers += [row[0] for row in database.execute(statement, ends)]
        if not numbers and text:
            packed = pack_id(text) or ""
            start = packed[:KEY_BYTES]
            whole = (segments(database, "connections"), start, start, packed, packed, limit)
            numbers += [row[0] for row in database.execute(sql.CONNECTIONS_BY_KEY, whole)]
            numbers += [row[0] for row in database.execute(sql.CONNECTIONS_BY_SESSION, (packed, limit))]
            numbers += [row[0] for row in database.execute(sql.CONNECTIONS_BY_REQUEST, (request_number(text), limit))]
    found = [reader.row(number, events=False) for number in sorted(set(numbers))[:limit]]
    return [row for row in found if isinstance(row, Connection)]
