"""What the real journalctl gives of real journal files: everything once, in order, and what is lost is told."""

from __future__ import annotations

import json
import subprocess

import msgspec
import pytest

from shipper.inputs.journalctl import matches_of
from tests.journald.conftest import Log, event, export


def test_every_event_comes_once_over_restarts_and_crashes(log: Log) -> None:
    log.write(*(export(event(n), n) for n in range(20)))
    log.start()
    log.until(lambda: len(log.numbers) == 20)
    log.write(*(export(event(n), n) for n in range(20, 30)))
    log.until(lambda: len(log.numbers) == 30)
    log.stop()
    log.write(*(export(event(n), n) for n in range(30, 40)))
    log.start()
    log.until(lambda: len(log.numbers) == 40)
    log.crash()
    log.write(*(export(event(n), n) for n in range(40, 50)))
    log.start()
    log.until(lambda: len(log.numbers) == 50)
    assert log.numbers == list(range(50))
    assert not log.gaps
    assert log.entries == 50


def test_entries_of_earlier_boots_are_read(log: Log) -> None:
    """journalctl --follow alone shows the last boot only."""
    log.write(*(export(event(n), n, boot=f"{n}" * 32) for n in range(1, 5)))
    log.start()
    log.until(lambda: log.numbers == [1, 2, 3, 4])
    log.stop()
    log.write(export(event(5), 5, boot="5" * 32), export(event(6), 6, boot="6" * 32))
    log.start()
    log.until(lambda: log.numbers == [1, 2, 3, 4, 5, 6])
    assert not log.gaps


def test_a_record_tells_unit_and_cursor(log: Log) -> None:
    log.write(export(event(1), 1), export(event(2), 2))
    log.start()
    log.until(lambda: log.numbers == [1, 2])
    source = log.records[0].source
    assert (source.host, source.input, source.path, source.offset) == ("here", "journald", None, None)
    assert source.cursor is not None
    assert source.meta["unit"] == "coder.service"
    assert source.meta["identifier"] == "coder"
    shown = subprocess.run(
        ["journalctl", f"--directory={log.folder}", "--output=json", "--lines=1", f"--cursor={source.cursor}"],
        capture_output=True,
        check=True,
    )
    assert json.loads(shown.stdout)["__CURSOR"] == source.cursor


def test_lines_that_journald_cut_are_joined_whatever_bytes_they_hold(log: Log) -> None:
    long = event(7, "é" * 60_000)
    parts = [long[at : at + 49_152] for at in range(0, len(long), 49_152)]
    assert len(parts) == 3
    coloured = b"2026-09-01 10:00:00.000 [info]  coderd: \x1b[1mnot ours\x1b[0m"
    log.write(
        export(coloured, 1),
        *(export(part, 2 + n, _LINE_BREAK="line-max") for n, part in enumerate(parts[:-1])),
        export(parts[-1], 4),
        export(event(8), 5),
    )
    log.start()
    log.until(lambda: log.numbers == [7, 8])
    assert log.records[0].user_agent == "é" * 60_000
    assert not log.malformed


def test_a_line_whose_rest_comes_after_a_restart_is_joined(log: Log) -> None:
    long = event(1, "y" * 60_000)
    log.write(export(long[:49_152], 1, _LINE_BREAK="line-max"))
    log.start()
    log.until(lambda: bool(log.positions))
    assert not log.records
    log.crash()
    log.write(export(long[49_152:], 2))
    log.start()
    log.until(lambda: log.numbers == [1])
    assert log.records[0].user_agent == "y" * 60_000


def test_the_parts_of_two_runs_of_the_unit_are_not_mixed(log: Log) -> None:
    """Each run has a stream of its own."""
    one, two = event(1, "a" * 60_000), event(2, "b" * 60_000)
    log.write(
        export(one[:49_152], 1, _STREAM_ID="a" * 32, _LINE_BREAK="line-max"),
        export(two[:49_152], 2, _STREAM_ID="b" * 32, _LINE_BREAK="line-max", _PID="78"),
        export(one[49_152:], 3, _STREAM_ID="a" * 32),
        export(two[49_152:], 4, _STREAM_ID="b" * 32, _PID="78"),
    )
    log.start()
    log.until(lambda: sorted(log.numbers) == [1, 2])
    assert {record.user_agent for record in log.records} == {"a" * 60_000, "b" * 60_000}


def test_the_two_streams_of_a_container_are_not_mixed(log: Log) -> None:
    """Docker's driver cuts lines at 16 KiB and marks the streams by their priority alone."""
    log.settings |= {"units": (), "containers": ("box",)}
    own = {"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": "box", "CONTAINER_ID": "c1", "_STREAM_ID": ""}
    one, two = event(1, "a" * 20_000), event(2, "b" * 20_000)
    part = {"CONTAINER_PARTIAL_MESSAGE": "true"}
    log.write(
        export(one[:16_384], 1, **own, **part, PRIORITY="6"),
        export(two[:16_384], 2, **own, **part, PRIORITY="3"),
        export(one[16_384:], 3, **own, PRIORITY="6"),
        export(two[16_384:], 4, **own, PRIORITY="3"),
    )
    log.start()
    log.until(lambda: sorted(log.numbers) == [1, 2])
    assert not log.malformed


def test_what_others_write_about_the_unit_is_counted_and_not_believed(log: Log) -> None:
    """-u gives systemd's own entries about the unit too."""
    log.write(
        export(event(1), 1, _SYSTEMD_UNIT="init.scope", _PID="1", UNIT="coder.service"),
        export(event(2), 2),
    )
    log.start()
    log.until(lambda: log.numbers == [2])
    assert (log.entries, log.not_ours) == (2, 1)


def test_units_identifiers_and_containers_are_followed_each_by_itself(log: Log) -> None:
    log.settings |= {"units": ("coder", "oth*.service"), "identifiers": ("mine",), "containers": ("box",)}
    log.write(
        export(event(1), 1),
        export(event(2), 2, _SYSTEMD_UNIT="other.service"),
        export(event(3), 3, _SYSTEMD_UNIT="user@1.service", SYSLOG_IDENTIFIER="mine"),
        export(event(4), 4, _SYSTEMD_UNIT="docker.service", CONTAINER_NAME="box", CONTAINER_ID="c1"),
        export(event(5), 5, _SYSTEMD_UNIT="stranger.service", SYSLOG_IDENTIFIER="stranger"),
    )
    log.start()
    log.until(lambda: len(log.numbers) >= 4)
    assert log.input is not None
    assert sorted(log.numbers) == [1, 2, 3, 4]
    assert len(log.positions) == 4
    names = [feed.name for feed in log.input.view().feeds]
    assert names == [f"journald:{name} in {log.folder}" for name in ("coder.service", "oth*.service", "mine", "box")]
    assert next(r for r in log.records if r.id.endswith("4")).source.meta["container"] == "box"


def test_from_the_end_only_what_comes_later_is_read_and_a_restart_skips_nothing(log: Log) -> None:
    log.settings["read_from"] = "end"
    log.write(export(event(1), 1))
    log.start()
    log.until(lambda: bool(log.positions))
    log.crash()
    now = 2_000_000_000 - 1_790_000_000  # entries in the years to come
    log.write(export(event(2), now))
    log.start()
    log.until(lambda: log.numbers == [2])
    assert not log.gaps


def test_a_unit_that_was_counted_is_read_from_the_start_where_its_position_is_gone(log: Log) -> None:
    """So it is after a damaged journal was recovered: what outputs did not get must come again."""
    log.settings["read_from"] = "end"
    log.write(export(event(1), 1))
    log.start(counted=(f"journald:coder.service in {log.folder}",))
    log.until(lambda: log.numbers == [1])


def vacuum(log: Log, *entries: bytes, file: str = "system.journal") -> None:
    """The journal has nothing but ``entries`` any more, under a count of its own."""
    for old in log.folder.iterdir():
        old.unlink()
    log.write(*entries, file=file)


@pytest.mark.parametrize(
    ("policy", "expected"), [("oldest", [1, 2, 10, 11]), ("nearest", [1, 2, 11]), ("newest", [1, 2])]
)
def test_a_lost_cursor_is_a_gap_and_reading_goes_on_as_it_is_declared(
    log: Log, policy: str, expected: list[int]
) -> None:
    """An entry with an earlier time than the lost one is there: the clock stepped back."""
    log.settings["on_lost_cursor"] = policy
    log.write(export(event(1), 5), export(event(2), 6))
    log.start()
    log.until(lambda: log.numbers == [1, 2])
    log.stop()
    vacuum(log, export(event(10), 1, boot="7" * 32), export(event(11), 100, boot="7" * 32))
    log.start()
    log.until(lambda: bool(log.gaps))
    (gap,) = log.gaps
    assert gap.gap == "cursor_lost"
    assert gap.source.cursor is not None
    assert gap.source.meta["source"] == gap.place == f"journald:coder.service in {log.folder}"
    assert gap.from_ is not None
    assert gap.bytes is None
    assert not gap.exact
    log.until(lambda: log.numbers == expected)
    # Once told, never again: the cursor is another one now.
    log.stop()
    log.start()
    log.write(export(event(12), 200_000_000, boot="7" * 32))
    log.until(lambda: log.numbers == [*expected, 12])
    assert len(log.gaps) == 1


def test_after_a_lost_cursor_what_was_read_before_it_is_not_read_again(log: Log) -> None:
    """The journal files were put away and came back without the newest."""
    log.write(export(event(1), 1), export(event(2), 2))
    log.start()
    log.until(lambda: log.numbers == [1, 2])
    log.stop()
    (key,) = log.positions
    position = log.positions[key]
    beyond = position.cursor.replace(";i=2;", ";i=3;").replace("x=", "x=1")
    log.positions[key] = msgspec.structs.replace(position, cursor=beyond, seen_ns=1)
    log.start()
    log.write(export(event(4), 4), export(event(5), 5))
    log.until(lambda: log.numbers == [1, 2, 5])
    assert log.gaps == []


def test_a_vacuumed_entry_of_a_quiet_unit_is_no_gap_where_nothing_is_missing(log: Log) -> None:
    """Its last entry is gone, but the journal goes back beyond it."""
    log.write(export(event(1), 1), export(b"other", 2, _SYSTEMD_UNIT="other.service"))
    log.start()
    log.until(lambda: log.numbers == [1])
    log.stop()
    (key,) = log.positions
    position = log.positions[key]
    gone = position.cursor.replace(";i=1;", ";i=0;")
    log.positions[key] = msgspec.structs.replace(position, cursor=gone)
    log.write(export(event(3), 3))
    log.start()
    log.until(lambda: log.numbers == [1, 1, 3])
    assert log.gaps == []


def test_messages_that_journald_dropped_are_a_gap(log: Log) -> None:
    suppressed = {
        "_SYSTEMD_UNIT": "systemd-journald.service",
        "_TRANSPORT": "driver",
        "MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e",
        "N_DROPPED": "1234",
        "OBJECT_SYSTEMD_UNIT": "coder.service",
        "_UID": "0",
    }
    log.write(export(event(1), 1), export(b"Suppressed 1234 messages from coder.service", 2, **suppressed))
    log.start()
    log.until(lambda: bool(log.gaps))
    (gap,) = log.gaps
    assert gap.gap == "rate_limited"
    assert "1234 messages" in gap.reason


def test_nobody_but_journald_can_claim_that_messages_were_dropped(log: Log) -> None:
    forged = {"MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e", "N_DROPPED": "7", "UNIT": "coder.service"}
    log.write(export(b"Suppressed 7 messages from coder.service", 1, **forged), export(event(2), 2))
    log.start()
    log.until(lambda: log.numbers == [2])
    assert log.gaps == []


def test_an_entry_over_the_limit_is_kept_in_part_and_reading_goes_on_behind_it(log: Log) -> None:
    log.settings["line_max_bytes"] = 8192
    log.write(export(event(1, "z" * 200_000), 1), export(b"w" * 200_000, 2), export(event(3), 3))
    log.start()
    log.until(lambda: log.numbers == [3])
    (bad,) = log.malformed
    assert b"connection_log" in bad.raw
    assert len(bad.raw) <= 8192
    assert (log.entries, log.not_ours) == (3, 1)
    log.stop()
    log.start()
    log.write(export(event(4), 4))
    log.until(lambda: log.numbers == [3, 4])
    assert log.entries == 4
    assert not log.gaps


def test_an_entry_over_the_limit_may_be_the_last_that_was_read(log: Log) -> None:
    log.settings["line_max_bytes"] = 8192
    log.write(export(event(1, "z" * 200_000), 1))
    log.start()
    log.until(lambda: len(log.malformed) == 1)
    log.crash()
    log.start()
    log.write(export(event(2), 2))
    log.until(lambda: log.numbers == [2])
    assert len(log.malformed) == 1
    assert not log.gaps


def test_a_part_of_a_line_whose_rest_never_comes_is_given_in_the_end(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipper.inputs.follower.PARTIAL_MAX_SECONDS", 0.3)
    log.write(export(event(1, "y" * 60_000)[:49_152], 1, _LINE_BREAK="line-max"))
    log.start()
    log.until(lambda: len(log.malformed) == 1)


def test_a_silent_child_is_begun_again_and_nothing_comes_twice(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shipper.inputs.follower.SILENT_MAX_SECONDS", 0.2)
    log.write(export(event(1), 1))
    log.start()
    assert log.input is not None
    log.until(lambda: log.input is not None and log.input.view().feeds[0].restarts_count >= 3)
    log.write(export(event(2), 2))
    log.until(lambda: log.numbers == [1, 2])
    assert not log.gaps


def test_the_key_of_a_position_tells_what_is_followed_and_where(log: Log) -> None:
    from shipper.config import JournaldInput

    keys = {
        matches_of(JournaldInput(**what))[0].key
        for what in (
            {"units": ("a",)},
            {"units": ("b",)},
            {"identifiers": ("a",)},
            {"units": ("a",), "namespace": "n"},
            {"units": ("a",), "directory": "/n"},
        )
    }
    assert len(keys) == 5
