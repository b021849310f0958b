"""Attribution never calls an answer certain that is wrong: random histories of which the truth is known."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from shipper.attribution import (
    ALONE_NS,
    AMBIGUOUS,
    ASTRAY_NS,
    CERTAIN,
    EVIDENCE_MAX_COUNT,
    LIKELY,
    LOOKBACK_NS,
    SESSION,
    SKEW_NS,
    TERMINAL,
    TUNNEL,
    UNKNOWN,
    Attribution,
    Evidence,
    Session,
    attribute,
    usable_session_id,
)

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000
ID = "0123456789abcdef0123456789abcdef"
START = 1000 * HOUR_NS


def tunnel(user: str | None, before_ns: int = HOUR_NS, code: int = 101, kind: str = TUNNEL) -> Evidence:
    return Evidence(kind, f"{kind}-{user}-{before_ns}", START - before_ns, user, code)


def session(**fields: object) -> Session:
    values: dict[str, object] = {"type": "ssh", "start_ns": START, "client_session_id": None, "owner_id": "owner"}
    return Session(**(values | fields))  # type: ignore[arg-type]  # fields of Session


def test_the_same_client_session_is_certain_where_nobody_else_was() -> None:
    own = tunnel("bob", kind=SESSION)
    for beside in ([], [tunnel("bob", 9 * HOUR_NS)], [tunnel("carol", code=403)], [tunnel("carol", ALONE_NS + 1)]):
        found = attribute(session(client_session_id=ID), [own, *beside])
        assert (found.grade, found.user_id, found.evidence) == (CERTAIN, "bob", (own.event_id,))
    for beside in (
        [tunnel("carol")],
        [tunnel(None, ALONE_NS)],
        [tunnel("carol", -ASTRAY_NS)],
        [tunnel("carol", kind=TERMINAL)],
    ):
        found = attribute(session(client_session_id=ID), [own, *beside])
        assert (found.grade, found.user_id, found.candidates[0]) == (LIKELY, "bob", "bob")


def test_an_id_that_another_agent_or_time_tells_is_likely_and_against_others_ambiguous() -> None:
    own = tunnel("bob", kind=SESSION)
    for one in (
        replace(own, here=False),
        tunnel("bob", LOOKBACK_NS + 1, kind=SESSION),
        tunnel("bob", -SKEW_NS - 1, kind=SESSION),
    ):
        assert attribute(session(client_session_id=ID), [one]).grade == LIKELY
        found = attribute(session(client_session_id=ID), [one, tunnel("carol")])
        assert (found.grade, found.user_id, found.candidates) == (AMBIGUOUS, None, ("bob", "carol"))
    assert attribute(session(client_session_id=ID, start_ns=None), [own]).grade == LIKELY


def test_a_client_that_was_denied_tells_nothing_but_that_it_is_another() -> None:
    denied = tunnel("bob", kind=SESSION, code=403)
    assert attribute(session(client_session_id=ID), [denied]).grade == UNKNOWN
    assert attribute(session(client_session_id=ID), [denied, tunnel("carol")]).user_id == "carol"
    assert attribute(session(client_session_id=ID), [denied, tunnel("carol", kind=SESSION)]).grade == AMBIGUOUS


def test_two_users_of_one_client_session_are_ambiguous() -> None:
    found = attribute(session(client_session_id=ID), [tunnel("bob", kind=SESSION), tunnel("eve", 1, kind=SESSION)])
    assert (found.grade, found.user_id, found.candidates) == (AMBIGUOUS, None, ("eve", "bob"))


def test_a_session_id_of_nothing_tells_nothing() -> None:
    assert not any(map(usable_session_id, (None, "", "0" * 32, "abc", "00000000-0000-0000-0000-000000000000")))
    assert usable_session_id(ID)
    assert attribute(session(client_session_id="0" * 32), [tunnel("bob", kind=SESSION)]).grade == UNKNOWN


def test_one_user_let_through_is_likely_and_several_are_ambiguous_the_newest_first() -> None:
    found = attribute(session(), [tunnel("bob"), tunnel("bob", 2 * HOUR_NS)])
    assert (found.grade, found.user_id) == (LIKELY, "bob")
    assert len(found.evidence) == 2
    found = attribute(session(), [tunnel("bob", 2 * HOUR_NS), tunnel("carol", HOUR_NS)])
    assert (found.grade, found.user_id, found.candidates) == (AMBIGUOUS, None, ("carol", "bob"))


def test_somebody_without_a_name_may_be_anybody() -> None:
    found = attribute(session(), [tunnel("bob"), tunnel(None)])
    assert (found.grade, found.user_id, found.candidates) == (AMBIGUOUS, None, ("bob",))


def test_the_owner_is_a_hint_and_no_answer() -> None:
    found = attribute(session(), [])
    assert (found.grade, found.user_id, found.candidates, found.evidence) == (UNKNOWN, None, ("owner",), ())
    assert attribute(session(owner_id=None), []).candidates == ()


def test_what_was_denied_or_lies_outside_the_time_is_no_evidence() -> None:
    for one in (tunnel("bob", code=403), tunnel("bob", LOOKBACK_NS + 1), tunnel("bob", -SKEW_NS - 1)):
        assert attribute(session(), [one]).grade == UNKNOWN
    for one in (tunnel("bob", LOOKBACK_NS), tunnel("bob", -SKEW_NS)):
        assert attribute(session(), [one]).grade == LIKELY
    assert attribute(session(start_ns=None), [tunnel("bob")]).grade == UNKNOWN


def test_the_web_terminal_counts_for_web_terminals_only() -> None:
    terminal = tunnel("bob", code=200, kind=TERMINAL)
    assert attribute(session(), [terminal]).grade == UNKNOWN
    assert attribute(session(type="reconnecting_pty"), [terminal]).user_id == "bob"
    assert attribute(session(type="reconnecting_pty"), [terminal, tunnel("eve")]).grade == AMBIGUOUS


def test_evidence_is_bounded_and_has_an_event_of_each_user_first() -> None:
    many = [tunnel("bob", n) for n in range(99)] + [tunnel("carol", HOUR_NS)]
    found = attribute(session(), many)
    assert len(found.evidence) == EVIDENCE_MAX_COUNT
    assert found.evidence[:2] == (many[0].event_id, many[-1].event_id)


# ---- histories with a known truth ------------------------------------------------------------------


class Happened(Struct):
    """A session as the agent reported it, and who it really was."""

    session: Session
    user: str


class History:
    """Some users connect to one agent. Each connection is let through by coderd, which writes a tunnel event after an
    hour of the user's inactivity only, and drops some under load; then the agent reports sessions by its own clock."""

    def __init__(self, seed: int, *, drops: float, skew_ns: int, with_ids: float, hours: int, users: int) -> None:
        dice = random.Random(seed)
        self.evidence: list[Evidence] = []
        self.happened: list[Happened] = []
        self.ids: dict[str, list[Evidence]] = {}
        owner = "user0"
        active: dict[tuple[str, bool], int] = {}
        for at in sorted(START + dice.randrange(hours * HOUR_NS) for _ in range(dice.randint(1, 40))):
            user = f"user{dice.randrange(users)}"
            self._connect(dice, user, at, owner, active, drops, skew_ns, with_ids)

    def _connect(
        self, dice: random.Random, user: str, at: int, owner: str, active: dict[tuple[str, bool], int], drops: float, skew: int,
        with_ids: float,
    ) -> None:  # fmt: skip
        client = uuid.UUID(int=dice.getrandbits(128)).hex if dice.random() < with_ids else None
        terminal = dice.random() < 0.2
        denied = dice.random() < 0.1
        quiet = at - active.get((user, terminal), -HOUR_NS * 10_000) >= HOUR_NS
        if (quiet or dice.random() < 0.1) and dice.random() >= drops:
            kind = TERMINAL if terminal else TUNNEL
            one = Evidence(kind, str(uuid.UUID(int=dice.getrandbits(128))), at, user, 403 if denied else 101)
            self.evidence.append(one)
            if client is not None:
                self.ids.setdefault(client, []).append(Evidence(SESSION, one.event_id, at, user, one.code))
        if denied:
            return
        active[user, terminal] = at
        for _ in range(dice.randint(1, 3)):
            begin = at + dice.randrange(1, HOUR_NS) + dice.randint(-skew, skew)
            told = Session("reconnecting_pty" if terminal else "ssh", begin, client, owner)
            self.happened.append(Happened(told, user))

    def answers(self) -> Iterator[tuple[Happened, Attribution]]:
        """Each session with what is said of it."""
        for one in self.happened:
            same = self.ids.get(one.session.client_session_id or "", [])
            yield one, attribute(one.session, [*same, *self.evidence])


histories = {
    "seed": st.integers(0, 2**32),
    "drops": st.sampled_from([0.0, 0.3, 0.9]),
    "skew_ns": st.sampled_from([0, SKEW_NS, 3 * HOUR_NS]),
    "with_ids": st.sampled_from([0.0, 0.5, 1.0]),
    "hours": st.sampled_from([2, 20, 200]),
    "users": st.integers(1, 4),
}


@given(**histories)
def test_what_is_called_certain_is_never_wrong(
    seed: int, drops: float, skew_ns: int, with_ids: float, hours: int, users: int
) -> None:
    history = History(seed, drops=drops, skew_ns=skew_ns, with_ids=with_ids, hours=hours, users=users)
    for happened, found in history.answers():
        if found.grade == CERTAIN:
            assert found.user_id == happened.user
        assert (found.user_id is not None) is (found.grade in (CERTAIN, LIKELY))
        assert set(found.evidence) <= {one.event_id for one in history.evidence}


@given(**histories)
def test_whose_event_is_there_in_time_is_never_left_out(
    seed: int, drops: float, skew_ns: int, with_ids: float, hours: int, users: int
) -> None:
    history = History(seed, drops=drops, skew_ns=skew_ns, with_ids=with_ids, hours=hours, users=users)
    for happened, found in history.answers():
        start = happened.session.start_ns or 0
        if any(
            one.user_id == happened.user
            and one.kind == TUNNEL
            and one.code == 101
            and start - LOOKBACK_NS <= one.time_ns <= start + SKEW_NS
            for one in history.evidence
        ):
            assert happened.user in found.candidates


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_where_no_event_was_lost_likely_is_not_wrong_either(seed: int, users: int) -> None:
    history = History(seed, drops=0.0, skew_ns=SKEW_NS, with_ids=0.3, hours=20, users=users)
    for happened, found in history.answers():
        if found.grade == LIKELY:
            assert found.user_id == happened.user


def test_likely_is_mostly_right_where_a_tenth_of_the_events_was_dropped() -> None:
    """Two users of one workspace, no session ids, 400 histories: right more than eight times as often as wrong."""
    right = wrong = 0
    for seed in range(400):
        history = History(seed, drops=0.1, skew_ns=SKEW_NS, with_ids=0.0, hours=20, users=2)
        for happened, found in history.answers():
            if found.grade == LIKELY:
                right, wrong = right + (found.user_id == happened.user), wrong + (found.user_id != happened.user)
    assert right > 8 * wrong, (right, wrong)
