"""The trouble: what stands in the way of an output, told in the log when it begins, when it changes, and now and then."""

from __future__ import annotations

import logging

TELL_AGAIN_SECONDS = 300.0
"""A trouble that stays is told again so often."""
WAITS, HOLDS, GOES_ON = (
    "waits and will try again",
    "holds everything until it is mended",
    "goes on without an endpoint",
)
"""What an output does that has a trouble."""
log = logging.getLogger(__name__)


class Troubles:
    """Those of the output ``name``, by a word for each. Not for use by two threads at once, but to ask whether there is one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._troubles: dict[str, str] = {}
        self._told: dict[str, float] = {}

    def __contains__(self, kind: str) -> bool:
        return kind in self._troubles

    @property
    def first(self) -> str | None:
        """The trouble that began first, None where there is none."""
        return next(iter(self._troubles.values()), None)

    def set(self, kind: str, what: str | None, now: float) -> None:
        """Something stands in the way, or no longer does."""
        if what is None:
            if self._troubles.pop(kind, None) is not None:
                self._told.pop(kind, None)
                log.info("output %s goes on", self._name)
            return
        news = self._troubles.get(kind) != what
        self._troubles[kind] = what
        self.tell(kind, what, now, news=news)

    def tell(self, kind: str, what: str, now: float, *, news: bool, does: str = WAITS) -> None:
        """Say it, and what the output ``does``, unless it was said not long ago."""
        before = self._told.get(kind)
        if news or before is None or now - before >= TELL_AGAIN_SECONDS:
            self._told[kind] = now
            log.warning("output %s %s: %s", self._name, does, what)

    def over(self, kind: str, what: str) -> None:
        """What was told is over: say so."""
        self._told.pop(kind, None)
        log.info("output %s: %s", self._name, what)
