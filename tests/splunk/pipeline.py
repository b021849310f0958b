"""Runs the part of Splunk's search language that the add-on uses, and refuses a field that nothing has given.

A table knows, beside its rows, which fields its rows may have: reading any other is an invention and raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.splunk.condition import condition_names, matches
from tests.splunk.expression import Value, evaluate, names, number_of, text_of
from tests.splunk.searchhead import FILLED, Row, conf, lookup_columns, lookup_rows

_AGGREGATE = re.compile(r"(\w+)(?:\((\w+)\))?(?: AS (\w+))?")


@dataclass
class Table:
    """Rows, and every field that a row may have."""

    rows: list[Row]
    fields: set[str]

    def need(self, wanted: set[str]) -> None:
        assert wanted <= self.fields, f"nothing gives {sorted(wanted - self.fields)}"


def expand(text: str) -> str:
    """The text with every macro put in; an unknown one raises KeyError."""
    for _ in range(8):
        if "`" not in text:
            return text
        text = re.sub(r"`([^`]*)`", lambda found: conf("macros")[found[1]]["definition"], text)
    raise AssertionError("macros without end")


def split_pipes(text: str) -> list[str]:
    """The commands of a search: split at ``|`` outside of quotes and brackets."""
    pieces, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(text):
        quoted ^= letter == '"' and text[at - 1] != "\\"
        if not quoted:
            depth += (letter in "([") - (letter in ")]")
            if letter == "|" and not depth:
                pieces.append(text[start:at].strip())
                start = at + 1
    return [*pieces, text[start:].strip()]


def run(search: str, events: Table) -> Table:
    """What a search gives of the events."""
    commands = split_pipes(expand(search))
    if commands[0] == "":
        del commands[0]
        table = Table([], set())
    else:
        table = _search(commands.pop(0).removeprefix("search "), events, events)
    for command in commands:
        name, _, rest = command.partition(" ")
        if name in ("tstats", "search"):
            table = _COMMANDS_OF_EVENTS[name](rest, table, events)
        else:
            table = _COMMANDS[name](rest, table)
    return table


def follow(search: str, table: Table) -> Table:
    """What the commands of a search that builds on another give of its table."""
    for command in split_pipes(expand(search)):
        name, _, rest = command.partition(" ")
        table = _search(rest, table, table) if name == "search" else _COMMANDS[name](rest, table)
    return table


def _search(text: str, table: Table, events: Table) -> Table:
    def inner(found: re.Match[str]) -> str:
        below = run(found[1].strip(), events)
        rows = [" ".join(f'{name}="{text_of(value)}"' for name, value in row.items()) for row in below.rows]
        return "(" + " OR ".join(f"({row})" for row in rows) + ")" if rows else '(sourcetype="no such")'

    text = re.sub(r"\[(.*?)\]", inner, text)
    table.need(condition_names(text) - {"index"})
    return Table([row for row in table.rows if matches(text, row)], table.fields)


def _tstats(text: str, _table: Table, events: Table) -> Table:
    found = re.fullmatch(r"(.+) WHERE (.+) BY (.+)", text)
    assert found, text
    indexed = {"_time", "_indextime", "host", "source", "sourcetype", "index", "event_id"}
    only = Table([{k: v for k, v in row.items() if k in indexed} for row in events.rows], indexed)
    return _stats(f"{found[1]} BY {found[3]}", _search(found[2], only, only))


def _dedup(text: str, table: Table) -> Table:
    keys = text.split()
    table.need(set(keys))
    seen: set[tuple[str, ...]] = set()
    rows = []
    for row in table.rows:
        key = tuple(text_of(row[name]) for name in keys if row.get(name) is not None)
        if len(key) == len(keys) and key not in seen:
            seen.add(key)
            rows.append(row)
    return Table(rows, table.fields)


def _eval(text: str, table: Table) -> Table:
    rows, fields = table.rows, set(table.fields)
    for assignment in _commas(text):
        name, _, expression = assignment.partition("=")
        name = name.strip()
        assert names(expression) <= fields, f"nothing gives {sorted(names(expression) - fields)}"
        rows = [{**row, name: evaluate(expression.strip(), row)} for row in rows]
        fields.add(name)
    kept: list[Row] = [{k: v for k, v in row.items() if v is not None} for row in rows]
    return Table(kept, fields)


def _commas(text: str) -> Iterator[str]:
    depth, quoted, start = 0, False, 0
    for at, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and not depth and not quoted:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _where(text: str, table: Table) -> Table:
    table.need(names(text))
    return Table([row for row in table.rows if evaluate(text, row) is True], table.fields)


def _fillnull(text: str, table: Table) -> Table:
    found = re.fullmatch(r'value="([^"]*)" (.+)', text)
    assert found, text
    given = dict.fromkeys(found[2].split(), found[1])
    table.need(set(given))
    return Table([{**given, **row} for row in table.rows], table.fields)


def _stats(text: str, table: Table) -> Table:
    what, _, by = text.partition(" BY ")
    keys = by.split()
    table.need(set(keys))
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in table.rows:
        # Splunk would leave a row out, silently, that lacks one of the keys.
        assert all(row.get(key) is not None for key in keys), f"a row without one of {keys} would be left out: {row}"
        groups.setdefault(tuple(text_of(row[key]) for key in keys), []).append(row)
    if not keys:
        groups.setdefault((), [])
    fields = set(keys) | {given or name for name, _, given in _AGGREGATE.findall(what)}
    rows: list[Row] = []
    table.need({field for _, field, _ in _AGGREGATE.findall(what) if field})
    for key, group in sorted(groups.items()):
        made: Row = dict(zip(keys, key, strict=True))
        for name, field, given in _AGGREGATE.findall(what):
            made[given or name] = _aggregate(name, field, group)
        rows.append({k: v for k, v in made.items() if v is not None})
    return Table(rows, fields)


def _aggregate(name: str, field: str, group: Sequence[Row]) -> Value:
    if name == "count" and not field:
        return float(len(group))
    held = [row for row in group if row.get(field) is not None]
    texts = [text_of(row[field]) for row in held]
    numbers = [number for row in held if (number := number_of(row[field])) is not None]
    if name == "dc":
        return float(len(set(texts)))
    if name == "values":
        return sorted(set(texts)) or None
    if name == "latest":
        return max(held, key=lambda row: number_of(row["_time"]) or 0)[field] if held else None
    choose: dict[str, Callable[[Sequence[float]], float]] = {"min": min, "max": max, "sum": sum, "median": median}
    return choose[name](numbers) if numbers else None


def _timechart(text: str, table: Table) -> Table:
    assert re.fullmatch(r"count BY \w+", text)
    table.need({"_time"})
    return _stats(text, table)


def _sort(text: str, table: Table) -> Table:
    found = re.fullmatch(r"(\d+) (- )?(\w+)", text)
    assert found, f"{text}: name how many rows, Splunk keeps only 10000 by itself"
    table.need({found[3]})
    rows = sorted(table.rows, key=lambda row: number_of(row.get(found[3])) or 0, reverse=bool(found[2]))
    return Table(rows[: int(found[1]) or None], table.fields)


def _table(text: str, table: Table) -> Table:
    wanted = text.split()
    table.need(set(wanted))
    return Table([{name: row[name] for name in wanted if name in row} for row in table.rows], set(wanted))


def _fields(text: str, table: Table) -> Table:
    if not text.startswith("- "):
        return _table(text, table)
    gone = set(text[2:].split())
    table.need(gone)
    return Table([{k: v for k, v in row.items() if k not in gone} for row in table.rows], table.fields - gone)


def _rename(text: str, table: Table) -> Table:
    found = re.fullmatch(r"(\w+) AS (\w+)", text)
    assert found, text
    table.need({found[1]})
    rows = [{found[2] if k == found[1] else k: v for k, v in row.items()} for row in table.rows]
    return Table(rows, (table.fields - {found[1]}) | {found[2]})


def _inputlookup(text: str, table: Table) -> Table:
    name = text.removeprefix("append=true ").strip()
    rows: list[Row] = [dict(row) for row in lookup_rows(name)]
    if text.startswith("append=true "):
        return Table([*table.rows, *rows], table.fields | set(lookup_columns(name)))
    return Table(rows, set(lookup_columns(name)))


def _outputlookup(text: str, table: Table) -> Table:
    assert table.fields == set(lookup_columns(text))
    FILLED[text] = [{name: text_of(row[name]) for name in lookup_columns(text)} for row in table.rows]
    return table


_COMMANDS_OF_EVENTS: dict[str, Callable[[str, Table, Table], Table]] = {
    "tstats": _tstats,
    "search": lambda text, table, _events: _search(text, table, table),
}
_COMMANDS: dict[str, Callable[[str, Table], Table]] = {
    "dedup": _dedup, "eval": _eval, "fields": _fields, "fillnull": _fillnull, "inputlookup": _inputlookup, "outputlookup": _outputlookup,
    "rename": _rename, "sort": _sort, "stats": _stats, "table": _table, "timechart": _timechart, "where": _where,
}  # fmt: skip
