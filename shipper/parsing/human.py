"""The human form: an event's text to its fields, by a fast path and by the grammar itself.

The fast path is a regular expression for each sequence of keys that was met, put together from the
grammar's own terminals; the grammar takes every line that the fast path does not, and says what is
wrong with a line. The two are equal on every line that both accept (property test).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from functools import cache

from shipper.alias import KEYS, LEVELS, OWN_KEYS
from shipper.parsing.grammar import HumanGrammar, terminals
from shipper.parsing.result import Parsed, Refused, gather
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import BadEscape, unquote
from shipper.timestamp import canonical_header

SHAPES_MAX_COUNT = 64
"""Key sequences that get a regular expression of their own; lines of further ones take the general path."""

SHAPES_MET_MAX_COUNT = 1024
"""Key sequences met once: an expression is made, in some milliseconds, for those that come again."""
SHAPE_KEYS_MAX_COUNT = 64
"""Keys of a line that is remembered as a shape."""
MINUTES_MAX_COUNT = 4096
"""Minutes of header stamps remembered; when full they are forgotten."""

_OURS = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \[[^\]\s]{1,8}\]  ?coderd(?:\.[^:\n]*+)?: connection_log"
    r"(?=$|\n|  |\ \.\.\.(?:\n|$)| [^\s=]+=)"
)
_single = re.compile(r'(?: [^\s="]++=(?:"(?:[^"\\\n]++|\\.)*+"|[^"\s]++))++(?: \.\.\.)?(?:\n|$)').match
"""The fields of the documentation's sample, one blank before each; any other text there is another message."""
_is_hex_id = re.compile(r"(?:[0-9a-f]{32}|[0-9a-f]{16})").fullmatch


_QUOTED_NAMES = frozenset(KEYS["time"])
_TEXT_KEYS = ("workspace_name", "agent_name", "user_agent", "slug_or_port", "app_or_slug", "disconnect_reason")
_BARE_NAMES = frozenset(
    name for key, names in KEYS.items() for name in names if key not in _TEXT_KEYS and key != "time"
) - {"request_id"}  # fmt: skip


class _Shape:
    """One key sequence: its keys, and the expression that takes the values out of a line.

    What coderd never quotes (ids, numbers, addresses) is taken bare, what it always quotes (the time) without
    its quotes; ``quotable`` are the places of the others. A line that is different is left to the general way.
    """

    __slots__ = ("keys", "match", "quotable", "traced")

    def __init__(self, keys: tuple[str, ...], written: list[str], terms: dict[str, str]) -> None:
        plain = terms["BARE"].partition("(?:")[0]
        either = f"({terms['BARE']}|{terms['QUOTED']})"
        self.keys = keys
        self.quotable = [at for at, key in enumerate(keys) if key not in _BARE_NAMES and key not in _QUOTED_NAMES]
        fields = (
            "  "
            + re.escape(name)
            + (f"({plain})" if key in _BARE_NAMES else '"([^"\\\\\n]*+)"' if key in _QUOTED_NAMES else either)
            for key, name in zip(keys, written, strict=True)
        )
        self.match = re.compile(_header(terms) + "".join(fields)).fullmatch
        self.traced = "trace" in keys or "span" in keys


def _header(terms: dict[str, str]) -> str:
    level = terms["LEVEL"].replace(r"\[", r"\[(", 1).replace(r"\]", r")\]", 1)
    return f"({terms['STAMP']}){level}({terms['LOGGER']}){terms['MESSAGE']}"


class HumanParser:
    """Parses human entries. ``zone`` is that of the header's stamp, None for UTC; ``log_type`` the class of ``Log``."""

    def __init__(self, zone: tzinfo | None = None, log_type: type[Log] = CompactLog) -> None:
        self._zone = zone
        self._log_type = log_type
        self._buckets: dict[str, list[_Shape]] = {}
        self._met: set[tuple[str, ...]] = set()
        self._shapes: set[tuple[str, ...]] = set()
        self._minutes: dict[str, str | None] = {}
        self._general: Callable[[str], re.Match[str] | None] | None = None
        self._grammar: HumanGrammar | None = None
        self._loggers: dict[str, str] = {}
        self.slow_count = 0
        """Lines of ours that the fast path left to the grammar."""

    def parse(self, text: str) -> Parsed | Refused | None:
        """The fields of one entry (its lines joined by \\n, no colours), why it was refused, or None: not ours."""
        parsed = self.parse_fast(text)
        if parsed is not None:
            return parsed
        ours = _OURS.match(text)
        if ours is None:
            return None
        rest = text[ours.end() : ours.end() + 4]
        if rest and rest[0] == " " and rest[:2] != "  " and rest != " ..." and _single(text, ours.end()) is None:
            return None
        self.slow_count += 1
        slowly = self.parse_slow(text)
        # A line that is whole and has none of an event's keys is none; of a broken one nobody can tell.
        if isinstance(slowly, Parsed) and OWN_KEYS.isdisjoint(slowly.keys):
            return None
        return slowly

    # -- fast ------------------------------------------------------------------------------

    def parse_fast(self, text: str) -> Parsed | None:
        """The fields by regular expression, or None where the line is left to the grammar."""
        block: tuple[str, str] | None = None
        end = text.find("\n")
        if end >= 0:
            if text[end - 4 : end] != " ...":
                return None
            block = self._split_block(text, end)
            if block is None:
                return None
            text = text[: end - 4]
        # The first key tells which of the shapes it can be.
        start = text.find("connection_log  ") + 16
        bucket = self._buckets.get(text[start : text.find("=", start)])
        if bucket is not None:
            for shape in bucket:
                found = shape.match(text)
                if found is not None:
                    values: list[JsonValue]
                    stamp, level, logger, *values = found.groups()
                    for at in shape.quotable:
                        value = values[at]
                        if value[0] == '"':
                            if "\\" in value:
                                try:
                                    values[at] = unquote(value[1:-1])
                                except BadEscape:
                                    return None
                            else:
                                values[at] = value[1:-1]
                    if block is not None or shape.traced or logger != "  coderd: ":
                        return self._finish(stamp, level, logger, shape.keys, values, block, shape.traced)
                    # As _finish, for the line that has nothing special.
                    minute = self._minutes.get(stamp[:16])
                    if minute is None or stamp[17:19] >= "60":
                        minute = self._minute(stamp)
                        if minute is None:
                            return None
                    log = self._log_type(f"{minute}{stamp[16:]}000000Z", LEVELS.get(level, level), "coderd", "human")
                    return Parsed(shape.keys, values, log, True)
        return self._learn(text, block)

    def _learn(self, text: str, block: tuple[str, str] | None) -> Parsed | None:
        """Reads a line of a key sequence not among the recent ones, and remembers the sequence."""
        if self._general is None:
            terms = terminals()
            field = f"{terms['KEY']}(?:{terms['BARE']}|{terms['QUOTED']})"
            self._general = re.compile(f"{_header(terms)}((?:{field})*+)").fullmatch
            self._each = re.compile(f"({terms['KEY']})({terms['BARE']}|{terms['QUOTED']})").findall
        found = self._general(text)
        if found is None:
            return None
        stamp, level, logger, body = found.groups()
        pairs: list[tuple[str, str]] = self._each(body)
        try:
            keys = tuple(_key(written) for written, _ in pairs)
            if len(set(keys)) != len(keys) or OWN_KEYS.isdisjoint(keys):
                return None  # a key twice: the grammar's way keeps both; or no event
            values: list[JsonValue] = [value if value[0] != '"' else unquote(value[1:-1]) for _, value in pairs]
        except BadEscape:
            return None
        written = [written for written, _ in pairs]
        if (
            len(keys) <= SHAPE_KEYS_MAX_COUNT
            and len(self._shapes) < SHAPES_MAX_COUNT
            and all(name.startswith("  ") for name in written)
        ):
            if keys not in self._met:
                if len(self._met) < SHAPES_MET_MAX_COUNT:
                    self._met.add(keys)
                return self._finish(stamp, level, logger, keys, values, block, "trace" in keys or "span" in keys)
            self._shapes.add(keys)
            shape = _Shape(keys, [name[2:] for name in written], terminals())
            self._buckets.setdefault(written[0][2:-1], []).append(shape)
        return self._finish(stamp, level, logger, keys, values, block, "trace" in keys or "span" in keys)

    @staticmethod
    def _split_block(text: str, end: int) -> tuple[str, str] | None:
        """The key and the value of the many-line field that begins after ``end``."""
        found = _block_key()(text, end)
        if found is None or found.end() >= len(text):
            return None
        return _block(found[0], text[found.end() :])

    # -- by the grammar --------------------------------------------------------------------

    def parse_slow(self, text: str) -> Parsed | Refused:
        """The fields by the grammar, or what it refused and where."""
        if self._grammar is None:
            self._grammar = HumanGrammar()
        tree = self._grammar.tree(text)
        if isinstance(tree, Refused):
            return tree
        stamp, level, logger, _, *rest = tree.children
        fields: dict[str, JsonValue] = {}
        beside: dict[str, JsonValue] = {}
        block: tuple[str, str] | None = None
        for branch in rest:
            try:
                if branch.data == "many_line":
                    _, block_key, block_text = branch.children
                    block = _block(str(block_key), str(block_text))
                    continue
                key_token, token = branch.children
                key = _key(str(key_token))
                value = str(token) if token.type == "BARE" else unquote(str(token)[1:-1])
            except BadEscape as error:
                token = branch.children[-1]
                return Refused("this is no escape of a quoted value", (token.start_pos or 0) + 1 + error.at)
            if fields.setdefault(key, value) != value:
                gather(beside, key, value)
        parsed = self._finish(
            str(stamp),
            str(level)[2:-1],
            str(logger),
            tuple(fields),
            list(fields.values()),
            block,
            "trace" in fields or "span" in fields,
        )
        if parsed is None:
            return Refused("this is not a time of the calendar", 0)
        if beside:
            for key, value in (parsed.beside or {}).items():
                gather(beside, key, value)
            parsed.beside = beside
        return parsed

    # -- both ------------------------------------------------------------------------------

    def _finish(
        self,
        stamp: str,
        level: str,
        logger: str,
        keys: tuple[str, ...],
        values: list[JsonValue],
        block: tuple[str, str] | None,
        traced: bool,
    ) -> Parsed | None:
        # Lines come in order, so the minute was nearly always seen before.
        minute = self._minutes.get(stamp[:16])
        if minute is None or stamp[17:19] >= "60":
            minute = self._minute(stamp)
            if minute is None:
                return None
        beside: dict[str, JsonValue] | None = None
        if block is not None:
            if block[0] in keys:
                beside = {block[0]: block[1]}
            else:
                keys = (*keys, block[0])
                values.append(block[1])
        trace = span = None
        if traced:
            beside = beside or {}
            kept = [(key, value) for key, value in zip(keys, values, strict=True) if key not in ("trace", "span")]
            for key, value in zip(keys, values, strict=True):
                if key == "trace" and len(value) == 32 and _is_hex_id(value):
                    trace = value
                elif key == "span" and len(value) == 16 and _is_hex_id(value):
                    span = value
                elif key in ("trace", "span"):
                    # Loggers before v3 print the address of a function here: no id, so it stays text.
                    beside[key] = value
            keys = tuple(key for key, _ in kept)
            values = [value for _, value in kept]
        log = self._log_type(
            f"{minute}{stamp[16:]}000000Z",
            LEVELS.get(level, level),
            "coderd" if logger == "  coderd: " else logger.strip()[:-1],
            "human",
            None,
            None,
            trace,
            span,
        )
        return Parsed(keys, values, log, True, beside)

    def _minute(self, stamp: str) -> str | None:
        """The canonical text of a stamp up to its minute, None where it is no time."""
        time = canonical_header(stamp, self._zone)
        if time is None:
            return None
        if len(self._minutes) >= MINUTES_MAX_COUNT:
            self._minutes.clear()
        self._minutes[stamp[:16]] = time[:16]
        return time[:16]


def _key(written: str) -> str:
    """A field's name from ``  name=``, ``  name`` or ``  "quoted name"=``."""
    name = written.lstrip(" ")
    name = name.removesuffix("=")
    return unquote(name[1:-1]) if name.startswith('"') else name


def _block(head: str, text: str) -> tuple[str, str]:
    """Key and value of a many-line field from ``\\n    Key= `` and the text behind it.

    Its lines stand behind 4 blanks, the key's bytes and 2 blanks more; empty lines behind none. The key is as
    the program named the field; on one line its blanks would be underscores, so they are here.
    """
    written = head[5:].rstrip(" ")[:-1]
    first, *rest = text.split("\n")
    indent = " " * (4 + len(written.encode()) + 2)
    return written.replace(" ", "_"), "\n".join([first, *(line.removeprefix(indent) for line in rest)])


@cache
def _block_key() -> Callable[[str, int], re.Match[str] | None]:
    return re.compile(terminals()["BLOCK_KEY"]).match
