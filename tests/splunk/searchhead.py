"""A search head in small: gives an event the fields that the add-on's files say, in Splunk's order.

Extraction of the JSON, then aliases, then calculated fields side by side, then lookups, then event types, then tags.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.splunk.condition import matches
from tests.splunk.conf import Conf, read_conf
from tests.splunk.expression import Value, evaluate, text_of

ADDON = Path(__file__).resolve().parents[2] / "splunk" / "TA_coder_connlog"
Row = dict[str, Value]


@cache
def conf(name: str) -> Conf:
    """A file of the add-on's ``default`` folder."""
    return read_conf(ADDON / "default" / f"{name}.conf")


FILLED: dict[str, list[dict[str, str]]] = {}
"""What searches have put into lookups, in place of the files."""


def lookup_columns(name: str) -> list[str]:
    """The header of a lookup by the name of its stanza."""
    with (ADDON / "lookups" / conf("transforms")[name]["filename"]).open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def lookup_rows(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a lookup by the name of its stanza."""
    return tuple(FILLED[name]) if name in FILLED else _shipped_rows(name)


@cache
def _shipped_rows(name: str) -> tuple[dict[str, str], ...]:
    with (ADDON / "lookups" / conf("transforms")[name]["filename"]).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def flatten(value: Any, prefix: str = "") -> Row:
    """What KV_MODE = json makes of an event: dotted names, ``{}`` for arrays, everything text, null as ``null``."""
    row: Row = {}
    for key, inner in value.items():
        _flatten_into(row, prefix + key, inner)
    return row


def _flatten_into(row: Row, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten_into(row, f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            _flatten_into(row, name + "{}", inner)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        known = row.get(name)
        row[name] = text if known is None else [*([known] if isinstance(known, str) else known), text]  # type: ignore[misc]


def search_fields(envelope: Mapping[str, Any], indexed_at: float | None = None) -> Row:
    """Every field of an event that was sent in ``envelope``, as a search sees it."""
    sourcetype = envelope["sourcetype"]
    row = {**flatten(envelope["event"]), **{name: text_of(value) for name, value in envelope.get("fields", {}).items()}}
    row |= {name: envelope.get(name, "") for name in ("host", "source", "sourcetype", "index")}
    row["_time"] = float(envelope["time"])
    row["_indextime"] = float(envelope["time"] if indexed_at is None else indexed_at)
    stanza = conf("props")[sourcetype]
    _apply_aliases(stanza, row)
    calculated = {
        key.removeprefix("EVAL-"): evaluate(value, row) for key, value in stanza.items() if key.startswith("EVAL-")
    }
    row = {name: value for name, value in {**row, **calculated}.items() if value is not None}
    for key in sorted(key for key in stanza if key.startswith("LOOKUP-")):
        _apply_lookup(stanza[key], row)
    types = [name for name, type_ in conf("eventtypes").items() if matches(type_["search"], row)]
    row["eventtype"] = types
    row["tag"] = sorted(
        {
            tag
            for name in types
            for tag, state in conf("tags").get(f"eventtype={name}", {}).items()
            if state == "enabled"
        }
    )
    return row


def _apply_aliases(stanza: Mapping[str, str], row: Row) -> None:
    for key, value in stanza.items():
        if key.startswith("FIELDALIAS-"):
            found = re.fullmatch(r"(\S+) ASNEW (\S+)", value)
            assert found, value
            if found[1] in row and found[2] not in row:
                row[found[2]] = row[found[1]]


def parse_lookup(text: str) -> tuple[str, list[tuple[str, str]], bool, list[tuple[str, str]]]:
    """A LOOKUP setting: its stanza, pairs of (column, field) that are matched, whether it keeps what is there,
    and pairs of (column, field) that it gives."""
    found = re.fullmatch(r"(\S+) (.+) (OUTPUT|OUTPUTNEW) (.+)", text)
    assert found, text
    return found[1], list(_pairs(found[2])), found[3] == "OUTPUTNEW", list(_pairs(found[4]))


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for found in re.finditer(r"(\S+)(?: AS (\S+))?", re.sub(r"\s+AS\s+", " AS ", text)):
        yield found[1], found[2] or found[1]


def _apply_lookup(text: str, row: Row) -> None:
    name, keys, keeps, outputs = parse_lookup(text)
    fold = conf("transforms")[name].get("case_sensitive_match") == "false"
    wanted = [row.get(field) for _, field in keys]
    if any(value is None for value in wanted):
        return
    for line in lookup_rows(name):
        own = [line[column] for column, _ in keys]
        asked = [text_of(value) for value in wanted]
        if own == asked or (fold and [x.lower() for x in own] == [x.lower() for x in asked]):
            for column, field in outputs:
                if line[column] and not (keeps and field in row):
                    row[field] = line[column]
            return
