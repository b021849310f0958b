"""The table reader: turns TOML tables into settings and gathers every problem with the line it stands on.

It never stops at the first problem: what can't be read is left out, and the whole is refused at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import NODEFAULT, Struct

from shipper.config.inputs import CoderApiInput, JournaldInput, StdinInput
from shipper.config.option import Base, Choice, ListError, quoted, slots, toml_name
from shipper.config.settings import (
    DEFAULT_INPUTS,
    DEFAULT_OUTPUTS,
    INPUT_TYPES,
    OUTPUT_TYPES,
    Coder,
    Config,
    Log,
    Metrics,
    State,
)

if TYPE_CHECKING:
    from shipper.config.place import Key

TABLES_MAX = 1000
"""Most inputs, and most outputs, of one configuration."""

_S = TypeVar("_S", bound=Struct)


class TableReader:
    """Reads one configuration. ``shown`` is what the file is called in problems, ``lines`` tells where its keys stand."""

    def __init__(self, shown: str, lines: Callable[[], dict[Key, int]], base: Base) -> None:
        self._found: list[tuple[int, str]] = []
        self._shown = shown
        self._lines = cache(lines)
        self._base = base

    def problems(self) -> list[str]:
        """Every problem found, in the order of the lines."""
        return [text for _, text in sorted(self._found, key=lambda found: found[0])]

    def config(self, tables: dict[str, Any], path: Path | None, state_dir: Path | None) -> Config | None:
        """The whole configuration, or None where there are problems; ``state_dir`` is the folder if none is given."""
        self._unknown((), tables, ("state", "input", "output", "metrics", "log", "coder"))
        state = self._state(tables.get("state", {}), state_dir)
        metrics = self._table("metrics", Metrics, tables)
        coder = self._table("coder", Coder, tables)
        log = self._table("log", Log, tables)
        inputs = self._many("input", INPUT_TYPES, tables)
        outputs = self._many("output", OUTPUT_TYPES, tables)
        for number in [n for n, source in inputs.items() if isinstance(source, StdinInput)][1:]:
            self._problem(("input", number), "is a second stdin, and there is but one; remove it")
        self._followed_twice(inputs)
        for number in [n for n, output in outputs.items() if output.type == "index"][1:]:
            self._problem(("output", number), "is a second index, and there can be but one; remove it")
        for at, number in enumerate([n for n, source in inputs.items() if isinstance(source, CoderApiInput)]):
            if at:
                self._problem(("input", number), "is a second coder_api, and there can be but one; remove it")
            elif coder is not None and not coder.url:
                self._problem(("input", number), "needs to know where Coder is; write [coder] and url below it")
            elif "output" in tables and not any(output.type == "index" for output in outputs.values()):
                told = 'needs the local index, by which it knows what the log has; add an [[output]] of type = "index"'
                self._problem(("input", number), told)
        names: set[str] = set()
        for number, output in outputs.items():
            if output.name in names and output.type != "index":
                told = f"{quoted(output.name)} is the name of another output; give each its own"
                self._problem(("output", number, "name"), told)
            names.add(output.name)
        if self._found or state is None or metrics is None or coder is None or log is None:
            return None
        return Config(
            path=path,
            state=state,
            inputs=tuple(inputs.values()) if "input" in tables else DEFAULT_INPUTS,
            outputs=tuple(outputs.values()) if "output" in tables else DEFAULT_OUTPUTS,
            metrics=metrics,
            coder=coder,
            log=log,
        )

    def _followed_twice(self, inputs: Mapping[int, Struct]) -> None:
        """Two readers of one unit would have one position, and each would read what the other has read."""
        first: dict[tuple[str, str, str], tuple[str, str]] = {}
        for table, source in inputs.items():
            for key, number, what in source.followed() if isinstance(source, JournaldInput) else ():
                here = dotted(("input", table, key, number)), getattr(source, key)[number - 1]
                there, name = first.setdefault(what, here)
                if there != here[0]:
                    same = "" if name == here[1] else f" as {quoted(name)}"
                    self._problem(
                        ("input", table, key, number),
                        f"{quoted(here[1])} is already followed by {there}{same}; remove one of them",
                    )

    def _table(self, name: str, struct: type[_S], tables: dict[str, Any]) -> _S | None:
        """The settings of a table that may be there once."""
        table = tables.get(name, {})
        if not isinstance(table, dict):
            self._problem((name,), f"must be a table, not {toml_name(table)}; write [{name}] and its keys below")
            return None
        return self._struct(struct, (name,), table, {})

    def _state(self, table: object, folder: Path | None) -> State | None:
        key: Key = ("state",)
        if not isinstance(table, dict):
            self._problem(key, f"must be a table, not {toml_name(table)}; write [state] and its keys below")
            return None
        if folder is None and "dir" not in table:
            self._problem((*key, "dir"), "is not given, and without a home folder it has no default; write it")
            return None
        return self._struct(State, key, table, {} if folder is None else {"dir": folder})

    def _many(self, name: str, types: dict[str, type[_S]], tables: dict[str, Any]) -> dict[int, _S]:
        """The settings of an array of tables by number, without those that have problems."""
        given = tables.get(name, [])
        if not isinstance(given, list):
            self._problem((name,), f"must be a list of tables; write [[{name}]] with two brackets on each side")
            return {}
        if len(given) > TABLES_MAX:
            self._problem((name,), f"has {len(given)} tables; {TABLES_MAX} is the most, so put their paths together")
            return {}
        read: dict[int, _S] = {}
        for number, table in enumerate(given, start=1):
            key: Key = (name, number)
            if not isinstance(table, dict):
                self._problem(key, f"must be a table, not {toml_name(table)}; write [[{name}]] and its keys below")
                continue
            struct = self._type_of(key, table, types)
            settings = None if struct is None else self._struct(struct, key, table, {})
            if settings is not None:
                read[number] = settings
        return read

    def _type_of(self, key: Key, table: dict[str, Any], types: dict[str, type[_S]]) -> type[_S] | None:
        """The struct for a table's ``type``; while that is wrong, nothing else of the table can be judged."""
        if "type" not in table:
            known = " or ".join(f"type = {quoted(word)}" for word in types)
            self._problem((*key, "type"), f"is missing; write {known}")
            return None
        word = table["type"]
        if isinstance(word, str) and word in types:
            return types[word]
        later: tuple[str, ...] = ()
        for struct in types.values():
            (kind,) = (slot.option.kind for slot in slots(struct) if slot.field == "type")
            later += kind.later if isinstance(kind, Choice) else ()
        try:
            return types[Choice(tuple(types), later).read(word, self._base)]
        except ValueError as error:
            self._problem((*key, "type"), str(error))
            return None

    def _struct(self, struct: type[_S], key: Key, table: dict[str, Any], fallback: dict[str, Any]) -> _S | None:
        values = dict(fallback)
        options = slots(struct)
        self._unknown(key, table, [slot.option.key for slot in options])
        sound = True
        for slot in options:
            where = (*key, slot.option.key)
            if slot.option.key in table:
                try:
                    values[slot.field] = slot.option.kind.read(table[slot.option.key], self._base)
                except ListError as error:
                    for number, text in error.entries:
                        self._problem((*where, number), text)
                    sound = False
                except ValueError as error:
                    self._problem(where, str(error))
                    sound = False
            elif slot.default is NODEFAULT and slot.field not in fallback:
                self._problem(where, f"is missing; write {slot.option.key} = …, {slot.option.kind.says}")
                sound = False
        if not sound:
            return None
        settings = struct(**values)
        if isinstance(settings, JournaldInput) and (problem := settings.problem()) is not None:
            self._problem((*key, problem[0]), problem[1])
            return None
        return settings

    def _unknown(self, key: Key, table: dict[str, Any], known: Iterable[str]) -> None:
        for name in table:
            if name in known:
                continue
            from difflib import get_close_matches  # here, since most keys are known

            near = get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {quoted(near[0])}?" if near else f"known here: {', '.join(known)}"
            self._problem((*key, name), f"is not known; {hint}")

    def _problem(self, key: Key, what: str) -> None:
        """Note one problem, on the line of the key or of the nearest table around it."""
        lines = self._lines()
        at = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), 0)
        place = f"{self._shown}:{at}" if at else self._shown
        self._found.append((at, f"{place}: {dotted(key)}: {what}"))


def dotted(key: Key) -> str:
    """A key as people write it: ``input[1].paths``; a part that is no bare word is quoted."""
    shown = ""
    for part in key:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            bare = part.replace("-", "_").isidentifier() and part.isascii()
            shown += ("." if shown else "") + (part if bare else quoted(part))
    return shown
