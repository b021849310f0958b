"""A filter on names keeps what it can't decide yet, counts it, and waits only as long as it may."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from shipper.directory.sighting import ORGANIZATION, USER, sighting
from shipper.index.names import NamesKeeper
from shipper.outputs.hec.sieve import Sieve
from shipper.query import parse_query
from shipper.record import Record
from tests.hec.server import HecServer
from tests.outputs.hec.conftest import Rig, name, wait

BOB, EVE, ALICE, ORG = (f"{n:08x}-0000-4000-9000-000000000000" for n in range(4))
TIME = "2026-09-01T10:00:00.000000000Z"


class Known:
    """Names as a test gives them: by kind, id and attribute; ``open_`` whether others may still be learnt."""

    def __init__(self, names: dict[tuple[str, str, str], str], open_: bool, me: str | None = None) -> None:
        self._names, self._open, self._me = names, open_, me

    def name(self, kind: str, id_: str, attribute: str, at_ns: int) -> tuple[str | None, bool]:
        found = self._names.get((kind, id_, attribute))
        return found, found is None and self._open

    def me(self) -> tuple[str | None, bool]:
        return self._me, self._me is None


NAMES = {
    (USER, BOB, "username"): "Bob",
    (USER, BOB, "email"): "bob@example.com",
    (ORGANIZATION, ORG, "name"): "coder",
    (USER, ALICE, "username"): "alice",
}


def record(**fields: Any) -> Record:
    values = {"type": "ssh", "user_id": BOB, "workspace_owner_id": ALICE, "organization_id": ORG}
    return Record(1, "00000001-0000-4000-8000-000000000000", TIME, "connected", **(values | fields))


@pytest.mark.parametrize(
    ("query", "fields", "gets", "undecided"),
    [
        ("username:bob", {}, True, 0),
        ("username:BOB,carol", {}, True, 0),
        ("username:carol", {}, False, 0),
        ("-username:carol", {}, True, 0),
        ("-username:bob", {}, False, 0),
        ("username:bob", {"user_id": EVE}, True, 1),
        ("-username:bob", {"user_id": EVE}, True, 1),
        (f"username:{EVE}", {"user_id": EVE}, True, 0),
        ("username:bob", {"user_id": None}, False, 0),
        ("-username:bob", {"user_id": None}, True, 0),
        ("username:bob type:tunnel", {"user_id": EVE}, False, 0),
        ("username:bob organization:acme", {"user_id": EVE}, False, 0),
        ("organization:coder", {}, True, 0),
        ("user_email:BOB@example.com", {}, True, 0),
        ("workspace_owner_email:bob@example.com", {"workspace_owner_id": BOB}, True, 0),
        ("workspace_owner_email:bob@example.com", {}, True, 1),
        ("workspace_owner:alice", {"names": {"workspace_owner": "zoe"}}, False, 0),
        ("username:me", {"user_id": ALICE}, True, 0),
        ("username:me", {}, False, 0),
        ("workspace_owner:me,bob", {"workspace_owner_id": BOB}, True, 0),
        ("bob", {}, False, 0),
    ],
)
def test_what_gets_through_and_what_of_it_is_undecided(
    query: str, fields: dict[str, Any], gets: bool, undecided: int
) -> None:
    sieve = Sieve(parse_query(query, 0), Known(NAMES, open_=True, me=ALICE))
    assert (sieve(record(**fields)), sieve.undecided_count) == (gets, undecided)


def test_who_is_never_to_be_known_is_not_the_one_that_is_asked_for() -> None:
    sieve = Sieve(parse_query("username:bob", 0), Known(NAMES, open_=False))
    assert not sieve(record(user_id=EVE))
    assert Sieve(parse_query("-username:bob", 0), Known(NAMES, open_=False))(record(user_id=EVE))
    assert sieve.undecided_count == 0


def test_without_anybody_to_ask_all_is_undecided() -> None:
    for query in ("username:bob", "-username:bob", "username:me", "organization:coder"):
        sieve = Sieve(parse_query(query, 0), None)
        assert sieve(record())
        assert sieve.undecided_count == 1


def test_what_is_learnt_later_never_shows_that_an_event_was_missed() -> None:
    """Each pair of terms, with every part of the names known: who gets through with all of them, did so with less."""
    terms = ("username:bob", "-username:bob", "workspace_owner:alice", "-organization:coder", "user_email:x@y")
    for pair in itertools.combinations(terms, 2):
        query = parse_query(" ".join(pair), 0)
        whole = Sieve(query, Known(NAMES, open_=False))(record())
        for count in range(len(NAMES)):
            for some in itertools.combinations(NAMES.items(), count):
                sieve = Sieve(query, Known(dict(some), open_=True))
                assert sieve(record()) or not whole, (pair, some)


def learn(folder: Path, *names: tuple[str, str]) -> None:
    keeper = NamesKeeper(folder / "index.db")
    keeper.learn(sighting(USER, id_, 1, "t", username=text) for id_, text in names)
    keeper.close()


def test_an_output_with_a_filter_on_names_is_never_held_up(rig: Rig, server: HecServer, tmp_path: Path) -> None:
    """Before any name is known all goes out and is counted; names that are learnt later decide from then on."""
    rig.append(1, user_id=BOB)
    rig.append(2, user_id=EVE)
    rig.start(filter="username:bob", gaps=False)
    assert rig.delivered()
    assert set(server.store.counts()) == {name(1), name(2)}
    assert rig.state().undecided == 2
    learn(tmp_path, (BOB, "bob"), (EVE, "eve"))
    rig.append(3, user_id=BOB)
    rig.append(4, user_id=EVE)
    rig.append(5, user_id=ALICE)
    assert rig.delivered()
    assert set(server.store.counts()) == {name(1), name(2), name(3)}, "nobody can be asked for Alice"
    assert rig.state().undecided == 2


def test_an_event_waits_for_the_name_that_decides_and_not_for_ever(rig: Rig, server: HecServer, tmp_path: Path) -> None:
    wanted: set[tuple[str, str]] = set()
    learn(tmp_path, (ALICE, "alice"))
    rig.want = wanted.update
    rig.start(filter="username:bob", gaps=False, names_wait_seconds=300.0)
    rig.append(1, 2, user_id=EVE)
    assert wait(lambda: (USER, EVE) in wanted)
    assert not server.store.counts()
    learn(tmp_path, (EVE, "eve"))
    rig.append(3, user_id=BOB)
    assert wait(lambda: (USER, BOB) in wanted)
    learn(tmp_path, (BOB, "bob"))
    assert rig.delivered()
    assert set(server.store.counts()) == {name(3)}
    assert rig.state().undecided == 0
    rig.stop()
    rig.start(names_wait_seconds=0.5)
    rig.append(4, user_id=ORG)
    assert rig.delivered(), "nobody answers, and it goes out"
    assert set(server.store.counts()) == {name(3), name(4)}
    assert rig.state().undecided == 1


def test_a_stop_does_not_wait_for_names(rig: Rig, server: HecServer, tmp_path: Path) -> None:
    rig.want = lambda ids: None
    rig.start(filter="username:bob", names_wait_seconds=300.0)
    learn(tmp_path, (ALICE, "alice"))
    rig.append(1, user_id=EVE)
    rig.stop(drain_seconds=60.0)
    assert not server.store.counts()
    assert not rig.empty(), "it is sent by the next start"
