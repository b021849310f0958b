"""The answer: what a collector's response means for the events that were sent, decided by status and code alone.

The codes and what was measured of them are Splunk's "HTTP Event Collector" documentation and its error table; the
text of an answer is shown to people and never decides anything. No answer drops an event: it is taken, or it is sent
again, or it alone is the reason of a refusal and goes into the quarantine.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

TEXT_MAX_CHARACTERS = 200
RETRY_AFTER_MAX_SECONDS = 3600.0
SPLIT_ABOVE_BYTES = 1_000_000
"""Some servers refuse a body that is too large with code 6 for its first event: above this it is cut in two first."""


class Verdict(enum.Enum):
    """What becomes of the events of a request."""

    TAKEN = "taken"
    HELD = "held"
    """Something must be mended first; nothing was taken but what stands before ``bad``."""
    REFUSED = "refused"
    """Not taken, for now."""
    UNSURE = "unsure"
    """Perhaps taken: sent again, and counted as possible duplicates."""
    SPLIT = "split"
    """Too large: not taken, to be sent in halves."""
    GUILTY = "guilty"
    """Events before ``bad`` are taken, that one is at fault, those behind it were not looked at."""
    BISECT = "bisect"
    """One event is at fault and nobody says which; some may have been taken."""


class Answer(Struct, frozen=True):
    """The verdict with its grounds. ``status`` is 0 where there was no response; ``code`` is HEC's own.

    ``bad`` counts from 0; ``ack`` is the id to ask for; ``slow`` that the server nears its limits; ``foreign`` that
    something else than a collector answered; ``retry_after`` is in seconds.
    """

    verdict: Verdict
    status: int = 0
    code: int | None = None
    text: str = ""
    bad: int | None = None
    ack: int | None = None
    slow: bool = False
    foreign: bool = False
    retry_after: float | None = None

    @property
    def shown(self) -> str:
        """The answer in a few words, safe for a log."""
        if not self.status:
            return self.text
        code = "" if self.code is None else f" code {self.code}"
        return f"HTTP {self.status}{code}" + (f" ({self.text})" if self.text else "")


_PER_EVENT = frozenset({5, 6, 12, 13, 15})
WRONG_INDEX = 7
_BY_CODE = {

    1: Verdict.HELD, 2: Verdict.HELD, 3: Verdict.HELD, 4: Verdict.HELD, 10: Verdict.HELD, 11: Verdict.HELD,
    14: Verdict.HELD, 16: Verdict.HELD, 21: Verdict.HELD, 22: Verdict.HELD, 28: Verdict.HELD,
    8: Verdict.UNSURE,
    9: Verdict.REFUSED, 18: Verdict.REFUSED, 19: Verdict.REFUSED, 20: Verdict.REFUSED, 23: Verdict.REFUSED,
    26: Verdict.REFUSED, 27: Verdict.REFUSED,
}  # fmt: skip
_ADVICE = {
    4: "write the right token into token_file, which is read again",
    7: "let the token write to the index, make the index, or change index or route",
    10: 'the token uses indexer acknowledgement: set ack = "auto"',
    28: 'the token uses indexer acknowledgement: set ack = "auto"',
}


def judge(status: int, body: bytes, headers: Mapping[str, str], count: int, size: int) -> Answer:
    """The answer to a request of ``count`` events whose body had ``size`` bytes before compression."""
    found = _decoded(body)
    code, text = _own_code(found, status), _text(found)
    wait = retry_after(headers.get("Retry-After"))
    if status == 200:
        if code in (0, 24, 25):
            return Answer(Verdict.TAKEN, status, code, text, ack=_natural(found.get("ackId")), slow=code != 0)
        return Answer(Verdict.UNSURE, status, code, text or "not a collector's answer", foreign=True, retry_after=wait)
    if status == 400 and code is not None and (code in _PER_EVENT or code == WRONG_INDEX):
        return _fault(found, status, code, text, count, size)
    if status == 413:
        if count > 1:
            return Answer(Verdict.SPLIT, status, code, text)
        return Answer(Verdict.GUILTY, status, code, text or "the event is too large", bad=0)
    if code is not None and code in _BY_CODE and status >= 400:
        text = f"{text}; {_ADVICE[code]}" if code in _ADVICE else text
        return Answer(_BY_CODE[code], status, code, text, retry_after=wait)
    if status == 429:
        return Answer(Verdict.REFUSED, status, code, text, retry_after=wait)
    if status == 408 or status >= 500 or status < 300:
        return Answer(Verdict.UNSURE, status, code, text, foreign=200 <= status < 300, retry_after=wait)
    if status < 400:
        where = headers.get("Location", "")
        return Answer(
            Verdict.HELD, status, code, f"redirects to {printable(where)}; write that address as the endpoint"
        )
    if status == 404 and code is None:
        text = "no collector has this address: mostly the port 8088 is meant"
    return Answer(Verdict.HELD, status, code, text, foreign=code is None, retry_after=wait)


def _fault(found: Mapping[str, Any], status: int, code: int, text: str, count: int, size: int) -> Answer:
    """Everything before the first bad event has been indexed, and nothing from it on."""
    number = _natural(found.get("invalid-event-number"))
    ack = _natural(found.get("ackId"))
    if code == WRONG_INDEX:
        text = f"{text}; {_ADVICE[code]}"
        # Its number counts from 1, unlike that of all other codes.
        bad = None if number is None else number - 1
        if bad is None or not 0 <= bad < count:
            if count > 1:
                return Answer(Verdict.BISECT, status, code, text, ack=ack)
            bad = 0
        return Answer(Verdict.HELD, status, code, text, bad=bad, ack=ack)
    if count == 1:
        return Answer(Verdict.GUILTY, status, code, text, bad=0, ack=ack)
    if number is None or number >= count:
        return Answer(Verdict.BISECT, status, code, text, ack=ack)
    if code == 6 and number == 0 and size > SPLIT_ABOVE_BYTES:
        return Answer(Verdict.SPLIT, status, code, text)
    return Answer(Verdict.GUILTY, status, code, text, bad=number, ack=ack)


def judge_acks(status: int, body: bytes) -> tuple[frozenset[int], Answer]:
    """The ids that are acknowledged, and the answer: TAKEN where it is a collector's list, else what is wrong with it."""
    found = _decoded(body)
    acks = found.get("acks")
    if status == 200 and isinstance(acks, dict):
        ids = frozenset(int(key) for key, value in acks.items() if value is True and key.isdecimal() and len(key) < 19)
        return ids, Answer(Verdict.TAKEN, status)
    code = _own_code(found, status)
    return frozenset(), Answer(Verdict.REFUSED, status, code, _text(found) or "no list of acknowledgements")


def judge_health(status: int, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Whether an endpoint is well: TAKEN, or also where it can't say (the next request will), else REFUSED."""
    found = _decoded(body)
    code = _own_code(found, status)
    if status == 200 and code is None:
        return Answer(Verdict.REFUSED, status, None, "not a collector's answer", foreign=True)
    if status == 200 or (400 <= status < 500 and status not in (408, 429)):
        return Answer(Verdict.TAKEN, status, code)
    return Answer(Verdict.REFUSED, status, code, _text(found), retry_after=retry_after(headers.get("Retry-After")))


def retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header: a number of them, or a date; an hour at most, None for anything else."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:9]), RETRY_AFTER_MAX_SECONDS)
    # Imported here: nobody else reads dates of this kind.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, min((moment - datetime.now(UTC)).total_seconds(), RETRY_AFTER_MAX_SECONDS))


def printable(text: str) -> str:
    """Text of a server, cut, and with escapes for what is not plainly printed."""
    cut = text[:TEXT_MAX_CHARACTERS]
    return cut if cut.isprintable() else cut.encode("unicode_escape").decode("ascii")[:TEXT_MAX_CHARACTERS]


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _own_code(found: Mapping[str, Any], status: int) -> int | None:
    """HEC's code; on errors of the HTTP server itself it repeats the status and means nothing."""
    code = found.get("code")
    return code if isinstance(code, int) and not isinstance(code, bool) and code != status else None


def _natural(value: Any) -> int | None:
    """A number that fits into a journal."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _text(found: Mapping[str, Any]) -> str:
    text = found.get("text")
    return printable(text) if isinstance(text, str) else ""
