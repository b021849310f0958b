"""The table: a file of names, CSV or JSON, as sightings. Each problem has its place.

CSV has a header; JSON is a list of objects, one object per line, or Coder's own answers (``{"users": […]}``). Columns:
``kind`` (user, organization, workspace; user where it is missing), ``id``, the attributes of the kind, and ``seen``, the
time at which it was so (RFC 3339; else the time of the import).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from shipper import timestamp
from shipper.coder.answer import Workspace
from shipper.directory.reading import of_workspace
from shipper.directory.sighting import ATTRIBUTES, ORGANIZATION, USER, WORKSPACE, Sighting, sighting
from shipper.errors import InputError
from shipper.query.value import read_uuid

TABLE_MAX_BYTES = 32 << 20
"""Some 300,000 entries; what is read takes about ten times as much memory."""
SOURCE = "file"
_ALIASES = {
    "user_id": "id",
    "user": "username",
    "user_email": "email",
    "full_name": "name",
    "organization": "name",
    "workspace": "name",
    "template_name": "template",
    "time": "seen",
}
_LISTS = {"users": USER, "organizations": ORGANIZATION, "workspaces": WORKSPACE}
Place = tuple[str, Mapping[str, object]]
"""Where an entry stands, for messages, and the entry."""


def read_table(path: Path, now_ns: int) -> list[Sighting]:
    """The sightings of a file; raises InputError with the first place that can't be read, so that it is all or none."""
    try:
        with path.open("rb") as file:
            raw = file.read(TABLE_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    if len(raw) > TABLE_MAX_BYTES:
        raise InputError(f"{path}: is larger than {TABLE_MAX_BYTES >> 20} MiB; cut it into several files")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: is not UTF-8 text; save the file as UTF-8") from error
    entries = _json(path, text) if text.lstrip()[:1] in ("{", "[") else _csv(path, text)
    return [one for place, entry in entries for one in _sightings(place, entry, now_ns)]


def _csv(path: Path, text: str) -> Iterator[Place]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        if "id" not in header and "user_id" not in header:
            raise InputError(f"{path}:1: has no column id; write a header such as kind,id,username,email,seen")
        reader.fieldnames = header
        for row in reader:
            if None in row:
                raise InputError(f"{path}:{reader.line_num}: has more cells than the header; quote those with commas")
            yield f"{path}:{reader.line_num}", row
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is no CSV: {error}") from error


def _json(path: Path, text: str) -> Iterator[Place]:
    try:
        document = json.loads(text)
    except ValueError:
        # Objects one per line.
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                try:
                    yield from _entries(f"{path}:{number}", json.loads(line))
                except (ValueError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: is neither JSON nor a line of it: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deeply to be read") from error
    else:
        yield from _entries(str(path), document)


def _entries(place: str, value: object) -> Iterator[Place]:
    if isinstance(value, list):
        for number, one in enumerate(value, start=1):
            yield from _entries(f"{place}: entry {number}", one)
    elif isinstance(value, dict) and "id" not in value and any(isinstance(value.get(key), list) for key in _LISTS):
        for key, kind in _LISTS.items():
            for number, one in enumerate(value.get(key) or (), start=1):
                if not isinstance(one, dict):
                    raise InputError(f"{place}: {key} {number}: must be an object")
                yield f"{place}: {key} {number}", {"kind": kind, **one}
    elif isinstance(value, dict):
        yield place, value
    else:
        raise InputError(f"{place}: must be an object with an id, not {json.dumps(value)[:40]}")


def _sightings(place: str, entry: Mapping[str, object], now_ns: int) -> Iterator[Sighting]:
    kind = str(entry.get("kind") or _guess(entry)).lower()
    if kind not in ATTRIBUTES:
        raise InputError(f"{place}: kind {kind!r} is not known; write user, organization or workspace")
    values: dict[str, str] = {}
    for key, value in entry.items():
        name = _ALIASES.get(key, key) if key not in ATTRIBUTES[kind] else key
        if isinstance(value, str) and value.strip():
            values.setdefault(name, value.strip())
    id_ = read_uuid(values.get("id", ""))
    if id_ is None:
        raise InputError(f"{place}: id {values.get('id', '')!r} is no UUID, which Coder's ids are")
    at_ns = now_ns
    if "seen" in values:
        moment = timestamp.canonical(values["seen"])
        if moment is None:
            raise InputError(f"{place}: seen {values['seen']!r} is no time; write it as 2026-01-31T12:00:00Z")
        at_ns = timestamp.to_ns(moment)
    known = {name: values[name] for name in ATTRIBUTES[kind] if name in values}
    if kind == WORKSPACE:
        names = ("owner_id", "organization_id")
        known |= {name: uuid for name in names if (uuid := read_uuid(known.pop(name, ""))) is not None}
        # As Coder lists them: with the names of owner and organization.
        beside = Workspace(id_, known.get("name", "-"), known.get("owner_id", ""), values.get("owner_name", ""),
                           known.get("organization_id", ""), values.get("organization_name", ""))  # fmt: skip
        yield from (one for one in of_workspace(beside, at_ns) if one.kind != WORKSPACE)
    if not known:
        raise InputError(f"{place}: names nothing; {kind} has the columns {', '.join(ATTRIBUTES[kind])}")
    yield sighting(kind, id_, at_ns, SOURCE, None, **known)


def _guess(entry: Mapping[str, object]) -> str:
    """The kind of an entry that doesn't say it, by what only one kind has."""
    if entry.get("owner_id") or entry.get("template") or entry.get("template_name"):
        return WORKSPACE
    return ORGANIZATION if "is_default" in entry else USER
