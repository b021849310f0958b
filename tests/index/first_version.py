"""Writes an index as the first version had it: what is written today, moved into the first version's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zstandard

from shipper.index import IndexWriter
from shipper.index.block import PRIMER, Block, BlockCodec
from shipper.index.schema import MIGRATIONS
from shipper.index.store import pack_ids
from shipper.record import Record

_ROW = "user, ip, user_agent, slug, reason, name_user, name_email, extra"
_PLACE = "owner, workspace, workspace_name, agent, name_owner, name_template"
_MOVE = f"""
INSERT INTO facts SELECT name, value FROM new.facts;
INSERT INTO dictionaries SELECT id, data FROM new.dictionaries;
INSERT INTO blocks SELECT id, events, stored_ns, single_frame(data) FROM new.blocks;
INSERT INTO words SELECT id, text, fold, packed,
    (uses & ~0xE00) | ((uses >> 11 & 1) << 9) | ((uses >> 9 & 1) << 10) | ((uses >> 10 & 1) << 11), used_ns FROM new.words;
INSERT INTO kinds SELECT id, key, used_ns, type, method, app, agent_name, organization, name_organization FROM new.kinds;
INSERT INTO places (key, used_ns, {_PLACE})
    SELECT pack_ids(owner, workspace, workspace_name, pairs.agent, name_owner, name_template), used_ns,
        owner, workspace, workspace_name, pairs.agent, name_owner, name_template
    FROM (SELECT place, agent FROM new.events UNION SELECT place, agent FROM new.connections) AS pairs
    JOIN new.places ON new.places.id = pairs.place;
INSERT INTO events SELECT e.id, event, time_ns, ended, connection, request, code, session, kind, p.id, {_ROW}
    FROM new.events AS e JOIN new.places AS n ON n.id = e.place JOIN main.places AS p
    ON p.key = pack_ids(n.owner, n.workspace, n.workspace_name, e.agent, n.name_owner, n.name_template);
INSERT INTO connections
    SELECT e.id, connection_id, connect_ns, disconnect_ns, duration_ns, state, first, second, code, session, kind, p.id, {_ROW}
    FROM new.connections AS e JOIN new.places AS n ON n.id = e.place JOIN main.places AS p
    ON p.key = pack_ids(n.owner, n.workspace, n.workspace_name, e.agent, n.name_owner, n.name_template);
INSERT INTO more_events SELECT connection, spent, event FROM new.more_events;
PRAGMA user_version = 1;
"""


def _single_frame(data: bytes) -> bytes:
    """A block as it was packed then: records and originals by turns, in one frame."""
    block = Block(BlockCodec(PRIMER), data)
    items = [item for pair in zip(block.rests(), block.originals(), strict=True) for item in pair]
    known = zstandard.ZstdCompressionDict(PRIMER, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(level=3, dict_data=known).compress(msgspec.msgpack.encode(items))


def write_first_version(path: Path, records: Sequence[Record], originals: Sequence[bytes], stored_ns: int) -> None:
    """An index of the first version at ``path`` that has taken one batch, number 1."""
    now = path.with_name(path.name + ".now")
    writer = IndexWriter(now)
    writer.add(1, records, originals, stored_ns=stored_ns)
    writer.close()
    database = sqlite3.connect(path, isolation_level=None)
    database.create_function("pack_ids", -1, pack_ids)
    database.create_function("single_frame", 1, _single_frame)
    database.execute("PRAGMA journal_mode = WAL").fetchall()
    database.executescript(MIGRATIONS[0])
    database.execute("ATTACH ? AS new", (str(now),))
    database.executescript(_MOVE)
    database.close()
    now.unlink()
