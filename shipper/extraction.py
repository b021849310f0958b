"""Bytes of one source in, records out: framing, parsing and normalisation behind one seam.

An ``Extractor`` is built for one stream (one file, one journal unit, one pipe) from plain data and
gives plain data back, so that a tailer can be killed at any byte and go on from what it persisted.
"""

from __future__ import annotations

from msgspec import Struct

from shipper.record import Malformed, Record


class Yield(Struct):
    """What one piece of bytes gave. ``originals`` runs beside ``records``, one raw entry each.

    ``entries == len(records) + len(malformed) + not_ours`` always; ``lookalikes`` is the part of
    ``not_ours`` that mentions ``connection_log``. ``lines`` and ``bytes`` count physical lines and
    bytes of the source that are done with. ``drift`` names what was never seen before in this
    extractor, as ``kind:value`` (``key:Foo``, ``type:bar``, ``status:baz``, ``time:…``).
    """

    records: list[Record] = []
    originals: list[bytes] = []
    malformed: list[Malformed] = []
    entries: int = 0
    not_ours: int = 0
    lookalikes: int = 0
    lines: int = 0
    bytes: int = 0
    drift: list[str] = []
