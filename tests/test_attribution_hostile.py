"""Attribution against those who want it to be wrong: ids of clients that are shared, replayed and forged, events that are
lost, written twice by replicas whose clocks differ, and agents whose clocks are off by hours. Nobody is called certain
who was not there, unless the id is another's *and* every event of who was really there is lost."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from shipper.attribution import (
    ALONE_NS,
    ASTRAY_NS,
    CERTAIN,
    LIKELY,
    LOOKBACK_NS,
    SESSION,
    SKEW_NS,
    TERMINAL,
    TUNNEL,
    Attribution,
    Evidence,
    Session,
    attribute,
)

HOUR_NS = 3_600_000_000_000
START = 10_000 * HOUR_NS
AGENTS = ("ours", "other")
REPLICA_SKEW_NS = 120_000_000_000


class Told(Struct):
    """A session as the agent reported it, who it really was, and when by coderd's clock."""

    agent: str
    session: Session
    user: str
    at_ns: int


class Written(Struct, frozen=True):
    """An event that coderd wrote down, and the client it was of."""

    agent: str
    client: str | None
    event: Evidence


class Weather(Struct, frozen=True):
    """What goes wrong: ``drops`` is the share of events that are lost, ``theft`` the share of connections that go by the
    id of another's client, ``astray_ns`` how far the agents' clocks are off, ``busy`` whether users are never inactive
    for an hour."""

    drops: float = 0.0
    theft: float = 0.0
    astray_ns: int = 0
    with_ids: float = 1.0
    users: int = 3
    days: int = 3
    busy: bool = False


class History:
    """Users connect to two agents through several replicas of coderd."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self._dice = random.Random(seed)
        self._weather = weather
        self.written: list[Written] = []
        self.lost: list[Written] = []
        self.told: list[Told] = []
        self._ids: list[str] = []
        self._active: dict[tuple[str, str, str, int], int] = {}
        at = START
        while at < START + weather.days * 24 * HOUR_NS and len(self.told) < 150:
            at += self._dice.randrange(1, HOUR_NS if weather.busy else 12 * HOUR_NS)
            self._connect(at)

    def _connect(self, at: int) -> None:
        dice, weather = self._dice, self._weather
        user, agent = f"user{dice.randrange(weather.users)}", dice.choice(AGENTS)
        client = None
        if dice.random() < weather.with_ids:
            stolen = self._ids and dice.random() < weather.theft
            client = dice.choice(self._ids) if stolen else uuid.UUID(int=dice.getrandbits(128)).hex
            self._ids.append(client)
        kind = TERMINAL if dice.random() < 0.15 else TUNNEL
        code = 403 if dice.random() < 0.1 else 101
        # coderd writes an event again only after an hour without activity of the same user, kind and outcome.
        key = (user, agent, kind, code)
        if at - self._active.get(key, -HOUR_NS) >= HOUR_NS:
            self._write(agent, client, kind, user, at, code)
        self._active[key] = at
        if code >= 400:
            return
        for _ in range(dice.randint(1, 2)):
            begin = at + dice.randrange(1, HOUR_NS // 2)
            self._active[key] = max(self._active[key], begin)
            by_agent = begin + dice.randint(-weather.astray_ns, weather.astray_ns)
            type_ = "reconnecting_pty" if kind == TERMINAL else "ssh"
            self.told.append(Told(agent, Session(type_, by_agent, client, "user0"), user, begin))

    def _write(self, agent: str, client: str | None, kind: str, user: str, at: int, code: int) -> None:
        event = Evidence(kind, str(uuid.UUID(int=self._dice.getrandbits(128))), at, user, code)
        copies = 2 if self._dice.random() < 0.2 else 1
        for copy in range(copies):
            # Another replica may write it too, by a clock of its own.
            time_ns = at + copy * self._dice.randint(-REPLICA_SKEW_NS, REPLICA_SKEW_NS)
            one = Written(agent, client, Evidence(kind, event.event_id, time_ns, user, code))
            (self.lost if self._dice.random() < self._weather.drops else self.written).append(one)

    def evidence(self, told: Told) -> list[Evidence]:
        """What the index finds about a session."""
        own = [
            Evidence(SESSION, one.event.event_id, one.event.time_ns, one.event.user_id, one.event.code, one.agent == told.agent)
            for one in self.written
            if one.client is not None and one.client == told.session.client_session_id
        ]  # fmt: skip
        return own + [one.event for one in self.written if one.agent == told.agent]

    def answers(self) -> Iterator[tuple[Told, Attribution]]:
        """Each session with what is said of it."""
        for told in self.told:
            yield told, attribute(told.session, self.evidence(told))

    def traces(self, told: Told) -> list[Written]:
        """The events that are there of who was really behind a session, at its agent."""
        return [
            one
            for one in self.written
            if one.agent == told.agent
            and one.event.user_id == told.user
            and (one.event.code or 0) < 400
            and one.event.time_ns <= told.at_ns + REPLICA_SKEW_NS
        ]


weathers = st.builds(
    Weather,
    drops=st.sampled_from([0.0, 0.1, 0.5]),
    theft=st.sampled_from([0.0, 0.3, 0.9]),
    astray_ns=st.sampled_from([0, SKEW_NS, 3 * HOUR_NS, ASTRAY_NS - HOUR_NS]),
    with_ids=st.sampled_from([0.5, 1.0]),
    users=st.integers(1, 4),
    days=st.sampled_from([1, 3, 20]),
    busy=st.booleans(),
)


@given(st.integers(0, 2**32), weathers)
@example(3, Weather(theft=0.9, busy=True, days=3))
@example(5, Weather(drops=0.5, theft=0.9, busy=True))
def test_certain_is_wrong_only_where_an_id_was_anothers_and_every_trace_was_lost(seed: int, weather: Weather) -> None:
    history = History(seed, weather)
    for told, found in history.answers():
        if found.grade == CERTAIN and found.user_id != told.user:
            assert weather.theft
            assert weather.drops
            assert not history.traces(told)


@given(st.integers(0, 2**32), weathers)
def test_the_evidence_given_is_there_and_names_the_candidates(seed: int, weather: Weather) -> None:
    history = History(seed, weather)
    for told, found in history.answers():
        known = {one.event_id: one.user_id for one in history.evidence(told)}
        assert set(found.evidence) <= set(known)
        assert (found.user_id is not None) is (found.grade in (CERTAIN, LIKELY))
        if found.evidence:
            assert {known[one] for one in found.evidence} - {None} <= set(found.candidates)
        if found.user_id is not None:
            assert found.candidates[0] == found.user_id


@given(st.integers(0, 2**32), weathers, st.randoms(use_true_random=False))
def test_the_order_and_copies_of_the_evidence_change_nothing(seed: int, weather: Weather, dice: random.Random) -> None:
    history = History(seed, weather)
    for told, found in list(history.answers())[:20]:
        evidence = history.evidence(told)
        shuffled = [*evidence, *evidence]
        dice.shuffle(shuffled)
        assert attribute(told.session, shuffled) == found


def test_certain_is_given_where_a_workspace_is_used_by_one() -> None:
    """The grade is no dead letter: alone on their agents, users with ids are certain in most sessions."""
    answers = [
        found
        for seed in range(50)
        for _, found in History(seed, Weather(users=1)).answers()
        if found.grade in (CERTAIN, LIKELY)
    ]
    assert sum(one.grade == CERTAIN for one in answers) > len(answers) / 2


@pytest.mark.parametrize("theft", [0.0, 0.9])
def test_bounds_are_such_that_an_old_event_of_another_still_counts(theft: float) -> None:
    assert ALONE_NS >= 30 * LOOKBACK_NS
    history = History(1, Weather(theft=theft, users=2, busy=True, days=20))
    assert {told.user for told in history.told} == {"user0", "user1"}
    assert all(found.user_id == told.user for told, found in history.answers() if found.grade == CERTAIN)
