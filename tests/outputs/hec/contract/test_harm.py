"""The order of harm: Splunk's troubles cost disk, never memory, the index or an event; and the envelope is exact."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.server import HecServer
from tests.hec.token import Token
from tests.outputs.hec.contract.conftest import event_id, ids

if TYPE_CHECKING:
    from tests.outputs.hec.contract.conftest import Shipper


def indexed(state: Path) -> int:
    """How many events the index holds."""
    if not (state / "index.db").exists():
        return 0
    db = sqlite3.connect(f"file:{state / 'index.db'}?mode=ro", uri=True, timeout=60)
    try:
        return int(db.execute("SELECT COUNT(*) FROM events").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def test_the_index_goes_on_while_splunk_is_down(shipper: Shipper, server: HecServer) -> None:
    server.down()
    shipper.configure(server, with_index=True)
    shipper.write(500)
    shipper.start()
    shipper.wait_for(lambda: indexed(shipper.state) == 500, "the index")
    shipper.write(500)
    shipper.wait_for(lambda: indexed(shipper.state) == 1000, "the index again")
    server.up()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(1000))


def test_a_hanging_splunk_does_not_hold_the_index_nor_the_stop(shipper: Shipper, server: HecServer) -> None:
    server.script.always(fault.hang())
    shipper.configure(server, with_index=True)
    shipper.write(500)
    shipper.start()
    shipper.wait_for(lambda: indexed(shipper.state) == 500, "the index")
    server.wait_requests(1)
    shipper.stop()
    server.script.clear()
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == ids(range(500)).keys()


def test_a_kill_in_the_middle_loses_nothing_and_counts_what_it_may_have_doubled(
    shipper: Shipper, server: HecServer
) -> None:
    shipper.configure(server, batch_events=20)
    for life in range(4):
        server.script.rule(lambda request: fault.slow_answer(0.05))
        shipper.write(400)
        shipper.start()
        server.wait_events(len(server.store) + 60)
        shipper.kill()
        server.script.clear()
        assert life < 4
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts().keys() == ids(range(1600)).keys()
    assert server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_after_a_clean_stop_nothing_is_doubled(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, batch_events=20)
    for _ in range(3):
        before = len(server.store)
        shipper.write(300)
        shipper.start()
        shipper.wait_for(lambda before=before: len(server.store) > before, "the first of them")  # type: ignore[misc]
        shipper.stop()
    shipper.write(100)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(1000))


@pytest.mark.parametrize("ack", ["off", "required"])
def test_a_reload_while_requests_are_under_way_loses_and_doubles_nothing(shipper: Shipper, ack: str) -> None:
    """The output is swapped for one with other settings, again and again, in the middle of a backlog."""
    with HecServer(Token(use_ack=ack == "required")) as server:
        server.script.always(fault.slow_answer(0.05))
        shipper.configure(server, ack=ack, batch_events=20)
        shipper.start()
        for events in (21, 22, 23, 24):
            before = len(server.store)
            shipper.write(400)
            assert server.wait(lambda before=before: len(server.store) > before)  # type: ignore[misc]
            shipper.configure(server, ack=ack, batch_events=events)
            shipper.wait_for(lambda: "reloads_count" in shipper.status(), "the first status")
            told = shipper.status()["reloads_count"]
            shipper.reload()
            shipper.wait_for(lambda told=told: shipper.status()["reloads_count"] > told, "the reload")  # type: ignore[misc]
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts() == ids(range(1600))
        assert shipper.tally("possible_duplicates") == 0


@pytest.mark.parametrize("false_polls", [0, 2])
def test_a_kill_at_any_time_of_the_acknowledging_loses_nothing_and_counts(shipper: Shipper, false_polls: int) -> None:
    """Before the answer, between answer and acknowledgement, and while it is asked for."""
    with HecServer(Token(use_ack=True), ack=AckRules(false_polls=false_polls)) as server:
        server.script.always(fault.slow_answer(0.02))
        shipper.configure(server, ack="required", batch_events=10)
        for _ in range(5):
            shipper.write(200)
            before = len(server.store)
            shipper.start()
            assert server.wait(lambda before=before: len(server.store) >= before + 40)  # type: ignore[misc]
            shipper.kill()
        shipper.start()
        shipper.wait_settled()
        shipper.stop()
        assert server.store.counts().keys() == ids(range(1000)).keys()
        assert server.store.duplicates() <= shipper.tally("possible_duplicates")


def test_the_envelope_says_exactly_what_the_record_says(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, index="security")
    shipper.write(1)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    (event,) = server.events
    assert (event.sourcetype, event.index, event.source) == ("coder:connection_log", "security", str(shipper.log))
    assert event.fields == {"event_id": event_id(0)}
    assert b'"time":1788256800.123456789' in event.raw
    assert event.host != "127.0.0.1"
    body = event.event
    assert isinstance(body, dict)
    assert (body["id"], body["time"], body["status"]) == (event_id(0), "2026-09-01T10:00:00.123456789Z", "connected")
    assert None not in body.values()
    assert "extra" not in body or body["extra"]
    assert "meta" not in body["source"] or body["source"]["meta"]


@pytest.mark.parametrize(
    ("own", "logged", "sent"),
    [
        ("0001-01-01T00:00:00Z", "2026-09-01T10:00:00.5Z", "1788256800.500000000"),
        ("2026-09-03T10:00:00Z", "2026-09-01T10:00:00.5Z", "1788256800.500000000"),
        ("2026-09-02T09:00:00Z", "2026-09-01T10:00:00.5Z", "1788339600.000000000"),
        ("1999-01-01T00:00:00Z", "2026-09-01T10:00:00.5Z", "915148800.000000000"),
    ],
)
def test_an_absurd_time_gives_way_to_the_logs_own(
    shipper: Shipper, server: HecServer, own: str, logged: str, sent: str
) -> None:
    shipper.configure(server)
    shipper.write(1)
    line = json.loads(shipper.log.read_bytes())
    line["ts"], line["fields"]["Time"] = logged, own
    shipper.log.write_bytes(json.dumps(line).encode() + b"\n")
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    (event,) = server.events
    assert f'"time":{sent},' in event.raw.decode()


def test_a_filter_chooses_what_is_sent_and_the_rest_is_done_with(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, filter="agent:main -ip:10.0.0.1")
    shipper.write(10)
    line = json.loads(shipper.log.read_bytes().splitlines()[0])
    line["fields"]["ID"], line["fields"]["Ip"] = event_id(10), "10.0.0.2"
    with shipper.log.open("ab") as file:
        file.write(json.dumps(line).encode() + b"\n")
    shipper.written += 1
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == {event_id(10): 1}


def test_text_of_the_log_never_chooses_an_index_nor_breaks_the_envelope(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server)
    hostile = '","index":"security","sourcetype":"evil"},"event":{"x":"\x00\x1b[31m\u2028'
    shipper.write(20, agent=hostile)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(20))
    assert {(event.index, event.sourcetype) for event in server.events} == {("main", "coder:connection_log")}


def test_batches_keep_their_bounds(shipper: Shipper, server: HecServer) -> None:
    shipper.configure(server, batch_events=30, batch_max="16KiB")
    shipper.write(500)
    shipper.start()
    shipper.wait_settled()
    shipper.stop()
    assert server.store.counts() == ids(range(500))
    posts = [seen for seen in server.seen if seen.service == "event"]
    assert max(seen.events for seen in posts) <= 30
    assert max(seen.bytes_plain for seen in posts) <= 16 << 10
    assert all(seen.bytes_sent < seen.bytes_plain for seen in posts)
