"""Acknowledgements of one HEC node: ids for each channel from 0, and each ``true`` told once and then forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class AckRules(Struct, frozen=True, kw_only=True):
    """When an id becomes true, and how much a node remembers.

    ``false_polls`` polls of an id are answered false first, and ``delay_seconds`` must have passed since it was given;
    ``never`` keeps it false for ever. ``idle_seconds`` drops channels that were idle for so long (None: never).
    From ``near_share`` of a bound on the success has code 25; ``full_code`` is 27 or, as older servers have it, 9.
    """

    delay_seconds: float = 0.0
    false_polls: int = 0
    never: bool = False
    idle_seconds: float | None = 600.0
    channels_max_count: int = 1_000_000
    pending_max_count: int = 10_000_000
    channel_pending_max_count: int = 1_000_000
    near_share: float = 0.9
    full_code: int = 27


class _Pending:
    __slots__ = ("given", "polls")

    def __init__(self, given: float) -> None:
        self.given = given
        self.polls = 0


class _Channel:
    __slots__ = ("next_id", "pending", "used")

    def __init__(self, now: float) -> None:
        self.next_id = 0
        self.pending: dict[int, _Pending] = {}
        self.used = now


class AckTable:
    """What one node knows of its channels; all of it is gone with ``forget`` (a restart)."""

    def __init__(self, rules: AckRules) -> None:
        self.rules = rules
        self._channels: dict[str, _Channel] = {}

    def pending(self, channel: str | None = None) -> list[int]:
        """The ids that were given and not yet told as true, of one channel or of all."""
        channels = self._channels.values() if channel is None else filter(None, [self._channels.get(channel)])
        return [number for each in channels for number in each.pending]

    def is_pending(self, channel: str, number: int) -> bool:
        """Was this id given and not yet told as true?"""
        known = self._channels.get(channel)
        return known is not None and number in known.pending

    def room(self, channel: str, now: float) -> int:
        """The code for one more request on the channel: 0, 25 (nearly full), or the code of a full one."""
        rules = self.rules
        self._clean(now)
        total = sum(len(each.pending) for each in self._channels.values())
        known = self._channels.get(channel)
        levels = (
            (len(known.pending) if known else 0, rules.channel_pending_max_count),
            (total, rules.pending_max_count),
            (0 if known else len(self._channels), rules.channels_max_count),
        )
        if any(count >= most for count, most in levels):
            return rules.full_code
        return 25 if any(count >= most * rules.near_share for count, most in levels) else 0

    def give(self, channel: str, now: float) -> int:
        """The next id of the channel."""
        known = self._channels.setdefault(channel, _Channel(now))
        number = known.next_id
        known.next_id += 1
        known.used = now
        known.pending[number] = _Pending(now)
        return number

    def poll(self, channel: str, numbers: Sequence[int], now: float) -> dict[str, bool]:
        """True for each id that is done, which is then forgotten; false for everything else, known or not."""
        self._clean(now)
        known = self._channels.get(channel)
        if known is not None:
            known.used = now
        return {str(number): known is not None and self._told(known, number, now) for number in numbers}

    def forget(self) -> None:
        """What a restart does: no channel, no id is known any more, and ids begin at 0 again."""
        self._channels.clear()

    def _told(self, channel: _Channel, number: int, now: float) -> bool:
        pending = channel.pending.get(number)
        if pending is None:
            return False
        pending.polls += 1
        rules = self.rules
        if rules.never or pending.polls <= rules.false_polls or now - pending.given < rules.delay_seconds:
            return False
        del channel.pending[number]
        return True

    def _clean(self, now: float) -> None:
        idle = self.rules.idle_seconds
        if idle is not None:
            for name in [name for name, each in self._channels.items() if now - each.used > idle]:
                del self._channels[name]
