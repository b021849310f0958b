"""The outcome: what an answer does to the events of its request: which are taken, which is at fault, which go again."""

from __future__ import annotations

from msgspec import Struct

from shipper.outputs.hec.answer import Answer, Verdict
from shipper.outputs.hec.sealed import AnySlice
from shipper.outputs.hec.slice import Slice


class Outcome(Struct, frozen=True):
    """``taken`` on the server's word, ``guilty`` one event that alone is refused, ``back`` to be sent again in this
    order; ``doubled`` events of ``back`` may have been taken."""

    taken: AnySlice | None = None
    guilty: Slice | None = None
    back: tuple[AnySlice, ...] = ()
    doubled: int = 0


def outcome(piece: AnySlice, answer: Answer, *, acknowledged: bool) -> Outcome:
    """Every event of ``piece`` is in exactly one part of it. ``acknowledged``: without an id to ask for, nothing counts
    as taken."""
    found = _outcome(piece, answer)
    if not acknowledged or found.taken is None or answer.ack is not None:
        return found
    return Outcome(None, found.guilty, (found.taken, *found.back), found.doubled + len(found.taken))


def _outcome(piece: AnySlice, answer: Answer) -> Outcome:
    count = len(piece)
    match answer.verdict:
        case Verdict.TAKEN:
            return Outcome(piece)
        case Verdict.HELD:
            bad = answer.bad or 0
            return Outcome(piece.cut(0, bad) if bad else None, None, (piece.cut(bad, count),))
        case Verdict.GUILTY:
            bad = answer.bad or 0
            rest = (piece.cut(bad + 1, count),) if bad + 1 < count else ()
            return Outcome(piece.cut(0, bad) if bad else None, piece.cut(bad, bad + 1), rest)
        case Verdict.SPLIT | Verdict.BISECT if count > 1:
            halves = (piece.cut(0, count // 2), piece.cut(count // 2, count))
            return Outcome(None, None, halves, count if answer.verdict is Verdict.BISECT else 0)
        case Verdict.UNSURE:
            return Outcome(None, None, (piece,), count)
    return Outcome(None, None, (piece,))
