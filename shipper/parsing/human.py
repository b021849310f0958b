"""The human form: an event's text to its fields, by a fast path and by the grammar itself.

The fast path is a regular expression put together from the grammar's own terminals; the grammar takes every line
that the fast path does not, and says what is wrong with a line. The two are equal on every line that both accept
(property test). Lines of a usual kind need neither: see ``rendering``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import tzinfo
from functools import cache

from shipper.alias import LEVELS, OWN_KEYS
from shipper.parsing.grammar import HumanGrammar, terminals
from shipper.parsing.result import Parsed, Refused, gather
from shipper.pattern import pattern
from shipper.record import CompactLog, JsonValue, Log
from shipper.text import BadEscape, unquote
from shipper.timestamp import canonical_header

MINUTES_MAX_COUNT = 4096
"""Minutes of header stamps remembered; when full they are forgotten."""

_OURS = pattern(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} \[[^\]\s]{1,8}\]  ?coderd(?:\.[^:\n]*+)?: connection_log"
    r"(?=$|\n|  |\ \.\.\.(?:\n|$)| [^\s=]+=)"
)
_single = pattern(r'(?: [^\s="]++=(?:"(?:[^"\\\n]++|\\.)*"|[^"\s]++))+(?: \.\.\.)?(?:\n|$)')
"""The fields of the documentation's sample, one blank before each; any other text there is another message."""
_hex_id = pattern(r"(?:[0-9a-f]{32}|[0-9a-f]{16})")


def _header(terms: dict[str, str]) -> str:
    level = terms["LEVEL"].replace(r"\[", r"\[(", 1).replace(r"\]", r")\]", 1)
    return f"({terms['STAMP']}){level}({terms['LOGGER']}){terms['MESSAGE']}"


class HumanParser:
    """Parses human entries. ``zone`` is that of the header's stamp, None for UTC; ``log_type`` the class of ``Log``."""

    def __init__(self, zone: tzinfo | None = None, log_type: type[Log] = CompactLog) -> None:
        self._zone = zone
        self._log_type = log_type
        self._minutes: dict[str, str | None] = {}
        self._general: Callable[[str], re.Match[str] | None] | None = None
        self._grammar: HumanGrammar | None = None
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
        if rest and rest[0] == " " and rest[:2] != "  " and rest != " ..." and _single.match(text, ours.end()) is None:
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
        if self._general is None:
            terms = terminals()
            field = f"{terms['KEY']}(?:{terms['BARE']}|{terms['QUOTED']})"
            self._general = re.compile(f"{_header(terms)}((?:{field})*)").fullmatch
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
            minute = self.minute(stamp)
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
                if key == "trace" and len(value) == 32 and _hex_id.fullmatch(value):
                    trace = value
                elif key == "span" and len(value) == 16 and _hex_id.fullmatch(value):
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

    def minute(self, stamp: str) -> str | None:
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
