"""The template: lines of one shape are what they share, kept once, and what differs, kept column by column.

A line is cut at quotes (JSON) or at two blanks (coderd's human form); lines with the same cuts, numbers aside, have one
template. So most of a line is packed once for many, and a pattern is looked for in what they share, and in the few
columns that can hold it, instead of in every line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec

TEMPLATES_MAX = 64
PIECES_MAX = 1024
"""Of one line, and columns of one block. Lines of more shapes or pieces than that are kept as they are."""
SOUGHT_CACHED_MAX = 4096
"""Pairs of pieces for which is remembered what a literal can look like between them; blocks have the same ones."""
_LABEL_BYTES = 16
_NUMBERS = b"0123456789.-"
_COUNTING = b"0123456789.-:T "
_DIGITS = b"0123456789abcdef-\n"
_GLANCE = 64
QUOTE, _BLANKS = b'"', b"  "


class Template(msgspec.Struct, frozen=True, array_like=True):
    """``shared`` has one more piece than ``columns`` has numbers: a line is a piece, a value of the first column, the
    next piece and so on. ``count`` lines are of it. No value holds the bytes ``between``."""

    shared: list[bytes]
    columns: list[int]
    count: int
    between: bytes


class Sheet(msgspec.Struct, frozen=True, array_like=True):
    """Lines without what differs: their templates, and which each line has. ``plain``: all is ASCII, and no carriage
    return among it; ``digits``: 1 for each column of hexadecimal digits and hyphens only, else 0."""

    templates: list[Template]
    order: bytes
    plain: bool
    digits: bytes


def take_apart(lines: Sequence[bytes]) -> tuple[Sheet, list[bytes]] | None:
    """The sheet of lines, and its columns, values with line ends between them: the values of the first template, then those
    of the next. None where they have line ends of their own, or too many shapes or pieces."""
    cut = cut_lines(lines, range(len(lines)))
    if cut is None:
        return None
    laid = Laid(len(lines))
    for shape, (places, rows) in cut.items():
        laid.lay(shape, places, rows)
    return laid.done(b"".join(lines))


Shape = int | tuple[int, bytes]


def cut_lines(
    lines: Sequence[bytes], places: Sequence[int]
) -> dict[Shape, tuple[list[int], list[Sequence[bytes]]]] | None:
    """The lines at ``places`` cut into pieces, those of one shape together; None where they are too many pieces."""
    shapes: dict[Shape, tuple[list[int], list[Sequence[bytes]]]] = {}
    for place in places:
        line = lines[place]
        shape: Shape
        if line[:1] == b"{":
            cut = line.split(QUOTE)
            shape = len(cut), b"".join(cut[::2]).translate(None, _NUMBERS)
        else:
            cut = line.split(_BLANKS)
            shape = len(cut)
        if len(cut) > PIECES_MAX:
            return None
        known = shapes.get(shape)
        if known is None:
            known = shapes[shape] = [], []
        known[0].append(place)
        known[1].append(cut)
    return shapes


class Laid:
    """A sheet in the making, template by template."""

    def __init__(self, lines: int) -> None:
        self._templates: list[Template] = []
        self._order = bytearray(lines)
        self._labels: dict[bytes, int] = {}
        self._columns: list[list[bytes]] = []

    def lay(self, shape: Shape, places: Sequence[int], rows: Sequence[Sequence[bytes]]) -> None:
        """Lines of one shape, cut into pieces."""
        between = _BLANKS if isinstance(shape, int) else QUOTE
        shared: list[bytes] = []
        columns: list[bytes] = []
        held: list[bytes] = []
        count = len(rows)
        for number, column in enumerate(zip(*rows, strict=True)):
            if number:
                held.append(between)
            if column.count(column[0]) == count:
                held.append(column[0])
                continue
            start = common_start(min(column), max(column))
            held.append(start)
            shared.append(b"".join(held))
            held = []
            columns.append(b"\n".join([value[len(start) :] for value in column] if start else column))
        shared.append(b"".join(held))
        self.put(places, shared, columns, between)

    def put(self, places: Sequence[int], shared: list[bytes], columns: Sequence[bytes], between: bytes = b'"') -> None:
        """Lines that have ``shared`` in common, their values in columns, a line end between them."""
        number = len(self._templates)
        used: list[int] = []
        for text, column in zip(shared, columns, strict=False):
            # Columns of several templates that stand behind the same text hold the same kind of values.
            label = text[-_LABEL_BYTES:]
            place = self._labels.setdefault(label, len(self._labels))
            if place == len(self._columns):
                self._columns.append([])
            self._columns[place].append(column)
            used.append(place)
        self._templates.append(Template(shared, used, len(places), between))
        if number < TEMPLATES_MAX:  # else all of it is given up
            for place in places:
                self._order[place] = number

    def done(self, whole: bytes) -> tuple[Sheet, list[bytes]] | None:
        """The sheet, and its columns as ``take_apart`` gives them; ``whole``: all lines, one behind the other."""
        if len(self._templates) > TEMPLATES_MAX or len(self._columns) > PIECES_MAX or b"\n" in whole:
            return None
        made = [b"\n".join(parts) for parts in self._columns]
        # Of most columns their beginning tells that they hold other text.
        digits = bytes(
            not column[:_GLANCE].translate(None, _DIGITS) and not column.translate(None, _DIGITS) for column in made
        )
        return Sheet(self._templates, bytes(self._order), whole.isascii() and b"\r" not in whole, digits), made


def common_start(one: bytes, other: bytes) -> bytes:
    """How both begin; but not into a number: a time or a counter goes on, and the template would be another in each
    block."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return one[:place].rstrip(_COUNTING)
    return min(one, other, key=len).rstrip(_COUNTING)


def put_together(sheet: Sheet, columns: Sequence[bytes]) -> list[bytes]:
    """The lines again; raises ValueError where sheet and columns do not fit."""
    values = [column.split(b"\n") for column in columns]
    begins = [0] * len(columns)
    made: list[Iterator[bytes]] = []
    for template in sheet.templates:
        used = []
        for number in template.columns:
            begin = begins[number]
            begins[number] = begin + template.count
            used.append(values[number][begin : begin + template.count])
        if any(len(column) != template.count for column in used):
            raise ValueError("a column is shorter than its templates say")
        form = b"%b".join(piece.replace(b"%", b"%%") for piece in template.shared)
        rows = zip(*used, strict=True) if used else iter([()] * template.count)
        made.append(iter([form % row for row in rows]))
    try:
        return [next(made[number]) for number in sheet.order]
    except (StopIteration, IndexError) as error:
        raise ValueError("its lines are not as many as its templates say") from error


def lines_with(sheet: Sheet, column: Callable[[int], bytes], literal: bytes) -> set[int]:
    """The places of the lines that may hold ``literal``; all that do are among them. ``column`` gives one by its number."""
    found: set[int] = set()
    held: dict[tuple[int, tuple[bytes, ...]], bool] = {}
    for number, template in enumerate(sheet.templates):
        everywhere, crossed = _reached(literal, b"\n".join(template.shared), template.between)
        rows: set[int] = set()
        for place in crossed:
            which = template.columns[place]
            pieces = template.shared[place], template.shared[place + 1]
            wanted = _sought(literal, *pieces, template.between, sheet.digits[which])
            known = held.get((which, wanted))
            if known is None:
                text = column(which) if wanted else b""
                known = held[which, wanted] = any(one in text for one in wanted)
            if known:
                begin = first_value(sheet, number, place)
                values = column(which)[1:-1].split(b"\n")[begin : begin + template.count]
                rows.update(row for row, value in enumerate(values) if any(one in b"\n%b\n" % value for one in wanted))
        if everywhere or rows:
            places = [place for place, one in enumerate(sheet.order) if one == number]
            found.update(places if everywhere else (places[row] for row in rows if row < len(places)))
    return found


def first_value(sheet: Sheet, number: int, place: int) -> int:
    """Where in its column the values at ``place`` of the lines of template ``number`` begin."""
    template = sheet.templates[number]
    which = template.columns[place]
    before = sum(one.count * one.columns.count(which) for one in sheet.templates[:number] if which in one.columns)
    return before + template.count * template.columns[:place].count(which)


@lru_cache(SOUGHT_CACHED_MAX)
def _reached(literal: bytes, whole: bytes, between: bytes) -> tuple[bool, tuple[int, ...]]:
    """Whether ``literal`` is in what lines share, which is ``whole``, with line ends for columns; else the places of columns
    that it may reach into."""
    if literal in whole:
        return True, ()
    shared = whole.split(b"\n")
    # Values hold nothing of what lines are cut at: either all of the literal up to its last cut is in the piece before
    # a value, or what follows it is in the piece behind, or a piece between two values is in the literal.
    head, cut, tail = literal.rpartition(between)
    if not cut or cut + tail in whole or any(map(literal.__contains__, shared[1:])):
        return False, tuple(range(len(shared) - 1))
    return False, tuple(place for place, piece in enumerate(shared[:-1]) if head + cut in piece)


@lru_cache(SOUGHT_CACHED_MAX)
def _sought(literal: bytes, before: bytes, behind: bytes, between: bytes, digits: int) -> tuple[bytes, ...]:
    """What a column holds, a line end before and behind each value, where ``literal`` begins in it or in the piece
    before it and reaches into it."""
    sought = []
    for start in range(len(literal)):
        if not before.endswith(literal[:start]):
            continue
        rest, edge = literal[start:], b"\n" if start else b""
        sought.append(edge + rest)
        # A value that ends within it: what is behind has to go on with the rest.
        for inside in range(0 if start else 1, len(rest)):
            left = rest[inside:]
            if behind.startswith(left) or left.startswith(behind):
                sought.append(b"%b%b\n" % (edge, rest[:inside]))
    return tuple(one for one in sought if between not in one and not (digits and one.translate(None, _DIGITS)))
