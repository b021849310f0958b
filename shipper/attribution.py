"""Attribution: who was behind a session that an agent reported, since such an event names no user.

Graded by what the evidence can bear:

certain    Coder let one user through to this agent with the same client session, and as far as is known nobody else in
           the thirty days before and the day after
likely     the client session names one user, but others were let through too; or one user alone was in the day before
ambiguous  several were, or one that nobody named, or the events contradict each other
unknown    nobody was; the workspace's owner is a hint, not an answer

A tunnel event is written once for an hour of inactivity of its user, and may be dropped under load: it may be old, and
a missing one proves nothing. So tunnels alone never make an answer certain. The id of a client session is chosen by the
client and told by the agent: whoever is let through to an agent may tell it that of another. So it makes nobody certain
where anybody else was.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

CERTAIN, LIKELY, AMBIGUOUS, UNKNOWN = "certain", "likely", "ambiguous", "unknown"

LOOKBACK_NS = 24 * 3_600_000_000_000
"""How long before a session a tunnel may have been let through that carries it: one is kept open, and within an hour of
activity the next is not written."""
SKEW_NS = 300_000_000_000
"""How far the agent's clock may be behind coderd's."""
ALONE_NS = 30 * LOOKBACK_NS
"""How long before a session nobody else may have been let through, for its user to be certain: who is never inactive
for an hour is written down once, however long ago."""
ASTRAY_NS = LOOKBACK_NS
"""How far the agent's clock may be from coderd's for an answer to be called certain."""
EVIDENCE_MAX_COUNT = 20
"""Ids of events that are given for one answer; the newest of each user come first."""
DENIED_CODE = 400

TUNNEL, TERMINAL, SESSION = "tunnel", "terminal", "session"


class Session(Struct, frozen=True):
    """What is asked about. ``start_ns`` is the agent's word; None where it is unusable."""

    type: str | None
    start_ns: int | None
    client_session_id: str | None
    owner_id: str | None


class Evidence(Struct, frozen=True):
    """An event that names a user, of the same workspace and agent (tunnel, terminal) or client session (session).

    ``code`` is its HTTP status; ``user_id`` None is somebody whom Coder did not name; ``here`` whether it is of the same
    agent, which the others are anyway."""

    kind: str
    event_id: str
    time_ns: int
    user_id: str | None
    code: int | None = None
    here: bool = True


class Attribution(Struct, frozen=True):
    """The answer. ``user_id`` is given for certain and likely; ``candidates`` are the users it may be, the likeliest
    first, for unknown the owner as a hint; ``evidence`` are the ids of the events that say so."""

    grade: str
    user_id: str | None
    candidates: tuple[str, ...]
    evidence: tuple[str, ...]
    reason: str


def usable_session_id(text: str | None) -> bool:
    """Whether a client's session id can tell one client from another."""
    digits = (text or "").replace("-", "")
    return len(digits) >= 16 and digits.strip("0") != ""


def attribute(session: Session, evidence: Sequence[Evidence]) -> Attribution:
    """Who was behind a session, as far as ``evidence`` tells; events that have nothing to do with it are left aside."""
    if usable_session_id(session.client_session_id):
        found = _by_client(session, evidence)
        if found is not None:
            return found
    around = [one for one in evidence if _covers(one, session)]
    users = _users(around)
    if not around:
        hint = () if session.owner_id is None else (session.owner_id,)
        why = (
            "its time is not usable"
            if session.start_ns is None
            else "nobody was let through to the agent in the day before"
        )
        return Attribution(UNKNOWN, None, hint, (), f"{why}; the workspace's owner is only a hint")
    unnamed = any(one.user_id is None for one in around)
    if len(users) == 1 and not unnamed:
        return Attribution(
            LIKELY,
            users[0],
            tuple(users),
            _ids(around),
            "only this user was let through to the agent in the day before",
        )
    reason = (
        "somebody without a name was let through to the agent in the day before"
        if unnamed
        else (f"{len(users)} users were let through to the agent in the day before")
    )
    return Attribution(AMBIGUOUS, None, tuple(users), _ids(around), reason)


def _by_client(session: Session, evidence: Sequence[Evidence]) -> Attribution | None:
    """What the events of the same client session tell; None where they tell nothing."""
    same = [one for one in evidence if one.kind == SESSION and one.user_id is not None]
    users = _users(same)
    if len(users) > 1:
        return Attribution(
            AMBIGUOUS, None, tuple(users), _ids(same), "events of the same client session name different users"
        )
    same = [one for one in same if _let_through(one)]
    if not same:
        return None
    user = users[0]
    here = [one for one in same if one.here and session.start_ns is not None and _in_time(one, session.start_ns)]
    others = [one for one in evidence if _beside(one, session) and one.user_id != user]
    if here and not others:
        return Attribution(
            CERTAIN,
            user,
            (user,),
            _ids(here),
            "an event of the same client session names the user, and nobody else was let through",
        )
    candidates = tuple(dict.fromkeys((user, *_users(others))))
    ids = tuple(dict.fromkeys((*_ids(same), *_ids(others))))[:EVIDENCE_MAX_COUNT]
    if others and not here:
        return Attribution(
            AMBIGUOUS, None, candidates, ids,
            "an event of the same client session names a user, but others were let through to this agent",
        )  # fmt: skip
    why = "though others were let through to the agent too" if others else "though at another agent or time"
    return Attribution(LIKELY, user, candidates, ids, f"an event of the same client session names the user, {why}")


def _beside(one: Evidence, session: Session) -> bool:
    """Whether an event tells that somebody was let through to the agent about the time of a session."""
    if one.kind == SESSION or not _let_through(one):
        return False
    return session.start_ns is None or -ALONE_NS <= one.time_ns - session.start_ns <= ASTRAY_NS


def _let_through(one: Evidence) -> bool:
    return one.code is None or one.code < DENIED_CODE


def _in_time(one: Evidence, start_ns: int) -> bool:
    return start_ns - LOOKBACK_NS <= one.time_ns <= start_ns + SKEW_NS


def _covers(one: Evidence, session: Session) -> bool:
    if session.start_ns is None or one.kind == SESSION:
        return False
    # The web terminal goes through coderd, everything else through a tunnel of the client's; a command line can open either.
    if one.kind == TERMINAL and session.type != "reconnecting_pty":
        return False
    return _let_through(one) and _in_time(one, session.start_ns)


def _users(evidence: Sequence[Evidence]) -> list[str]:
    """The users named, those of the newest events first."""
    newest = sorted(evidence, key=lambda one: (-one.time_ns, one.event_id))
    return list(dict.fromkeys(one.user_id for one in newest if one.user_id is not None))


def _ids(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Ids of events, the newest of each user first, then the others."""
    newest = sorted(evidence, key=lambda one: (-one.time_ns, one.event_id))
    first = list({one.user_id: one for one in reversed(newest)}.values())[::-1]
    return tuple(dict.fromkeys(one.event_id for one in (*first, *newest)))[:EVIDENCE_MAX_COUNT]
