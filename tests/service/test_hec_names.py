"""Events go to Splunk with the names as of them; who is not known is waited for only as long as is asked for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from shipper.directory.sighting import ORGANIZATION, USER, sighting
from shipper.index import IndexWriter
from shipper.index.names import NamesKeeper
from shipper.journal import Batch, Journal, Outbox, Piece
from shipper.outputs.hec.names import Namer
from shipper.outputs.hec.parcels import NamedParcels
from shipper.record import CompactRecord, Record, encoded
from shipper.timestamp import to_ns
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.hec.server import HecServer
from tests.hec.token import TOKEN

if TYPE_CHECKING:
    from tests.service.conftest import Service

BOB, ORG, DEV = (f"{n:08x}-0000-4000-9000-000000000000" for n in range(3))
OLD, NEW = "2026-01-01T00:00:00.000000000Z", "2026-01-09T00:00:00.000000000Z"


def record(time_: str = OLD, **fields: object) -> CompactRecord:
    values: dict[str, object] = {
        "schema": 1, "id": str(uuid.uuid4()), "time": time_, "status": "connected", "type": "ssh", "method": "ssh",
        "organization_id": ORG, "workspace_owner_id": BOB, "workspace_id": DEV, "agent_name": "main",
    }  # fmt: skip
    return CompactRecord(**(values | fields))  # type: ignore[arg-type]  # fields of the record


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    journal = Journal(tmp_path / "journal.db")
    journal.register("hec")
    records = [
        record(user_id=BOB),
        record(NEW, user_id=BOB),
        record(
            user_id=str(uuid.uuid4()), organization_id=None, workspace_owner_id=None, disconnect_reason='"}, "names":{'
        ),
        record(connection_id=str(uuid.uuid4())),
    ]
    journal.append(Batch((Piece("t", [encoded(one) for one in records], [b"x"] * 4, entries=4, lines=4),)))
    yield journal.outbox("hec")
    journal.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[NamesKeeper]:
    keeper = NamesKeeper(tmp_path / "index.db")
    yield keeper
    keeper.close()


def told(parcels: NamedParcels) -> list[object]:
    parcel = parcels.after(0)
    assert parcel is not None
    return [msgspec.json.decode(line, type=Record).names for line in parcel.lines]


def test_names_are_as_of_each_event_and_follow_what_is_learnt(
    outbox: Outbox, keeper: NamesKeeper, tmp_path: Path
) -> None:
    namer = Namer(tmp_path / "index.db")
    parcels = NamedParcels(outbox, namer)
    original = outbox.after(0)
    assert original is not None
    assert parcels.after(0) == original, "nothing is known: nothing is changed"
    keeper.learn(
        [
            sighting(USER, BOB, to_ns(OLD), "t", username="bob", email="b@x"),
            sighting(USER, BOB, to_ns(NEW), "t", username='rob"\u202e'),
            sighting(ORGANIZATION, ORG, to_ns(OLD), "t", name="coder"),
        ]
    )
    old = {"user": "bob", "user_email": "b@x", "workspace_owner": "bob", "organization": "coder"}
    new = old | {"user": 'rob"\u202e', "workspace_owner": 'rob"\u202e'}
    first, second, third, fourth = told(parcels)
    assert (first, second, third) == (old, new, msgspec.UNSET)
    assert fourth == {"workspace_owner": "bob", "organization": "coder"}
    keeper.learn([sighting(ORGANIZATION, ORG, to_ns(NEW), "t", name="acme")])
    assert [one["organization"] for one in told(parcels) if isinstance(one, dict)] == ["coder", "acme", "coder"]
    named = parcels.at(original.seq)
    assert named is not None
    assert all(line.startswith(plain[:-1]) for line, plain in zip(named.lines, original.lines, strict=True))
    namer.close()


def test_without_an_index_or_with_a_broken_one_events_go_without_names(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    parcels = NamedParcels(outbox, Namer(path))
    assert parcels.after(0) == outbox.after(0)
    path.write_bytes(b"no database at all" * 1000)
    parcels = NamedParcels(outbox, Namer(path, wait_seconds=60))
    assert parcels.after(0) == outbox.after(0)


def test_a_first_lookup_is_waited_for_only_if_asked_for_and_not_for_ever(
    outbox: Outbox, keeper: NamesKeeper, tmp_path: Path
) -> None:
    wanted: set[tuple[str, str]] = set()
    path = tmp_path / "index.db"
    assert NamedParcels(outbox, Namer(path, want=wanted.update)).after(0) is not None
    assert (USER, BOB) in wanted
    wanted.clear()
    waiting = NamedParcels(outbox, Namer(path, wait_seconds=60, want=wanted.update))
    assert waiting.after(0) is None
    unknown = wanted - {(USER, BOB)}
    assert len(unknown) == 1
    keeper.learn([sighting(USER, BOB, 1, "t", username="bob")])
    assert waiting.after(0) is None
    keeper.miss(list(unknown), until_ns=time.time_ns() + 10**12)
    assert waiting.after(0) is not None, "Coder does not know the other: there is nothing to wait for"
    parcel = outbox.after(0)
    assert parcel is not None
    namer = Namer(path, wait_seconds=60)
    assert not namer.waits(parcel, parcel.stored_ns + 61 * 10**9)


def test_sessions_are_attributed_where_that_is_asked_for(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    writer = IndexWriter(path)
    tunnel = record("2025-12-31T23:30:00.000000000Z", type="tunnel", method="tunnel", user_id=BOB, code=101)
    writer.add(1, [tunnel], [b""], stored_ns=1)
    writer.close()
    assert told(NamedParcels(outbox, Namer(path))) == [msgspec.UNSET] * 4
    names = told(NamedParcels(outbox, Namer(path, attribution=True)))
    assert names[:3] == [msgspec.UNSET] * 3
    assert names[3] == {
        "attributed_user": BOB,
        "attribution": "likely",
        "attribution_candidates": BOB,
        "attribution_evidence": tunnel.id,
    }


def test_the_daemon_sends_names_to_splunk(service: Service, tmp_path: Path) -> None:
    """With Coder, Splunk and no local index of events at all."""
    scene = Scene()
    scene.world.organization("acme", id=str(uuid.UUID(int=7)))
    (tmp_path / "coder-token").write_text(scene.world.token_of(scene.auditor))
    (tmp_path / "hec-token").write_text(TOKEN)
    with CoderServer(scene.world, limit=-1) as coder, HecServer() as splunk:
        text = service.config.read_text()
        service.config.write_text(
            f'{text}[coder]\nurl = "{coder.url}"\ntoken_file = "{tmp_path}/coder-token"\n'
            f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{splunk.url}"]\ntoken_file = "{tmp_path}/hec-token"\n'
        )
        service.write(1)
        service.start()
        service.wait_for(lambda: len(splunk.events) == 1, "the first event")
        service.wait_for(lambda: bool((service.status().get("names") or {}).get("last_success")), "names")  # type: ignore[attr-defined]

        def named() -> bool:
            """Whether an event that is written now comes with a name."""
            before = len(splunk.events)
            service.write(1)
            service.wait_for(lambda: len(splunk.events) > before, "the later events")
            return b'"names":{"organization":"acme"}' in splunk.events[-1].raw

        service.wait_for(named, "a name")
        assert service.end() == 0
