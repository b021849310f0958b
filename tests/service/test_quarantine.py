"""A replay beside a running daemon stores each event once and loses none; what is new in the logs is told once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.journal import sql
from shipper.journal.quarantine import REPLAY_SOURCE

if TYPE_CHECKING:
    from tests.service.conftest import Service

STAMP = "2026-09-01T10:00:00.123456789Z"


def event(number: int, **more: object) -> bytes:
    """The event that the service's log has under this number, or one like it."""
    fields = {
        "ID": str(uuid.UUID(int=number + 1)),
        "Time": STAMP,
        "Type": "ssh",
        "ConnectionStatus": "connected",
        **more,
    }
    top = {"ts": STAMP, "level": "INFO", "msg": "connection_log", "logger_names": ["coderd"], "fields": fields}
    return json.dumps(top).encode()


def put_aside(state: Path, texts: list[bytes]) -> None:
    """Put entries into the quarantine, as an older parser that didn't understand them left them."""
    db = sqlite3.connect(state / "journal.db", timeout=30, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    for text in texts:
        place = b'{"host":"h","input":"file","path":"/f","offset":5}'
        db.execute(sql.ADD_QUARANTINE, (1, "/f", "old", 1, 1, len(text), None, place, text, None, None, 0))
    db.execute("COMMIT")
    db.close()


def quarantine(service: Service, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shipper", "quarantine", *words, "-c", str(service.config)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_replay_beside_a_running_daemon_stores_each_event_once(service: Service) -> None:
    service.write(100)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 100, "the first events")
    # Known to the daemon already (50..99), soon to be written to its log as well (100..599), and its alone.
    alone = list(range(10_000, 10_400))
    put_aside(service.state, [event(n) for n in [*range(50, 600), *alone]] + [event(1)[:-20]] * 3)
    replaying = subprocess.Popen(
        [sys.executable, "-m", "shipper", "quarantine", "replay", "--all", "-c", str(service.config)],
        stdout=subprocess.PIPE,
        text=True,
    )
    while service.written < 600:
        service.write(10)
        time.sleep(0.01)  # so that both write at the same time
    out, _ = replaying.communicate(timeout=60)
    assert replaying.returncode == 1
    assert out.endswith(", 3 still malformed\n")
    expected = [*range(600), *alone]
    service.wait_for(lambda: len(service.indexed()) >= len(expected), "all events")
    # The daemon knows what the replay stored, also for a copy that comes only now.
    with service.log.open("ab") as file:
        file.write(event(10_000) + b"\n" + event(20_000) + b"\n")
    service.wait_for(lambda: 20_000 in service.indexed(), "the last event")
    assert service.end() == 0
    assert service.indexed() == [*expected, 20_000]
    db = sqlite3.connect(service.state / "journal.db")
    rows = db.execute("SELECT source, entries, stored, duplicates, malformed, not_ours FROM counters").fetchall()
    left = db.execute("SELECT reason FROM quarantine").fetchall()
    db.close()
    counts = {row[0]: row[1:] for row in rows}
    assert all(entries == sum(rest) for entries, *rest in counts.values())
    assert sum(stored for _, stored, *_ in counts.values()) == len(expected) + 1
    assert sum(duplicates for _, _, duplicates, *_ in counts.values()) == 50 + 500 + 1
    assert counts[REPLAY_SOURCE][0] == 950
    assert len(left) == 3
    assert all(reason != "old" for (reason,) in left)


def test_what_is_replayed_while_the_daemon_is_stopped_is_delivered_at_its_next_start(service: Service) -> None:
    service.write(1)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 1, "the first event")
    assert service.end() == 0
    put_aside(service.state, [event(7), event(0)])
    done = quarantine(service, "replay", "--all")
    assert (done.returncode, done.stdout) == (0, "1 replayed, 1 known already, 0 still malformed\n")
    assert service.indexed() == [0]
    service.start()
    service.wait_for(lambda: service.indexed() == [0, 7], "the replayed event")
    assert service.end() == 0


@pytest.mark.parametrize("stopped", [False, True])
def test_a_search_tells_of_the_lines_that_are_in_the_quarantine_and_of_no_others(
    service: Service, stopped: bool
) -> None:
    """Whatever takes an entry out: a replay as an event, as a copy of a known one, or a drop; the daemon may be stopped."""

    def told() -> int:
        words = ["search", "--events", "--output", "json", "-c", str(service.config)]
        done = subprocess.run([sys.executable, "-m", "shipper", *words], capture_output=True, text=True, check=False)
        return int(json.loads(done.stdout)["quarantined"])

    good = event(0)
    service.log.write_bytes(good + b"\n" + b"".join(event(n).replace(STAMP.encode(), b"0") + b"\n" for n in (1, 2, 3)))
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 1 and told() == 3, "the event, and the notices")
    if stopped:
        assert service.end() == 0
    db = sqlite3.connect(service.state / "journal.db", timeout=30)
    with db:
        # What today's parser reads: one is new, one a copy.
        db.execute("UPDATE quarantine SET raw = ? WHERE n = 1", (event(1),))
        db.execute("UPDATE quarantine SET raw = ? WHERE n = 2", (good,))
    db.close()
    assert quarantine(service, "replay", "--all").stdout == "1 replayed, 1 known already, 1 still malformed\n"
    if stopped:
        service.start()
    service.wait_for(lambda: told() == 1, "the notice of the one that is left")
    if stopped:
        assert service.end() == 0
    assert quarantine(service, "drop", "3").stdout == "1 dropped\n"
    if stopped:
        service.start()
    service.wait_for(lambda: told() == 0, "no notice")
    assert len(service.indexed()) == 2
    assert service.end() == 0


def test_what_is_new_in_the_logs_is_told_once_over_restarts_and_ships(service: Service) -> None:
    with service.log.open("ab") as file:
        file.write(event(0, Type="worm\x1bhole", Frobnication="much") + b"\n" + event(1, Frobnication="more") + b"\n")
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 2, "the events")
    service.wait_for(lambda: len(service.status().get("drift", [])) == 2, "the status")  # type: ignore[arg-type]
    assert service.end() == 0
    with service.log.open("ab") as file:
        file.write(event(2, Frobnication="again") + b"\n")
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the event after the restart")
    shown = subprocess.run(
        [sys.executable, "-m", "shipper", "status", "-c", str(service.config)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert service.end() == 0
    said = service.said()
    assert said.count("new in the logs: key Frobnication") == 1
    assert said.count(r"new in the logs: type worm\x1bhole") == 1
    assert "much" not in said
    assert r"worm\x1bhole" in shown
    drift = {d["name"]: d for d in json.loads(json.dumps(service.status()["drift"]))}
    assert drift["key:Frobnication"]["count"] == 2
    assert drift["type:worm\x1bhole"]["count"] == 1
    assert drift["key:Frobnication"]["first_seen"] < str(service.status()["started"])


def test_a_full_quarantine_is_loud_and_stops_nothing(service: Service) -> None:
    service.configure(state='quarantine_max = "1KiB"')
    with service.log.open("ab") as file:
        for number in range(20):
            file.write(event(number, ID="none", UserAgent="x" * 200) + b"\n")
    service.write(3)
    service.start()
    service.wait_for(lambda: len(service.indexed()) == 3, "the events behind")
    service.wait_for(lambda: service.status().get("quarantine", {}).get("count") == 20, "the status")  # type: ignore[attr-defined]
    listed = quarantine(service, "ls", "--output", "ndjson")
    assert service.end() == 0
    rows = [json.loads(row) for row in listed.stdout.splitlines()]
    assert len(rows) == 20
    textless = [row for row in rows if row["textless"]]
    assert textless
    assert all(row["bytes"] == 0 and row["offset"] is not None and row["reason"] for row in textless)
    assert sum(row["bytes"] for row in rows) <= 1024
    assert "state.quarantine_max" in service.said()
    assert json.loads(json.dumps(service.status()["quarantine"]))["textless"] == len(textless)
