"""The status page stays short however many sources there were, and its sum leaves none out."""

from __future__ import annotations

from msgspec.structs import replace

from shipper.inputs.input import FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.service.status_page import SOURCES_MAX_COUNT, page
from shipper.status import Drift, NamesStatus, Status


def status(sources: dict[str, Counters]) -> Status:
    time = "2026-01-02T03:04:05.000000000Z"
    return Status(
        version="1",
        pid=1,
        started=time,
        updated=time,
        state="reading",
        paused=None,
        files=[],
        files_count=0,
        lag_bytes=0,
        troubles={},
        sources=sources,
        journal=Depth(0, 0, 0, None),
        journal_max_bytes=1,
        outputs=[],
        gaps_count=0,
        gaps=[],
        quarantine=QuarantineSize(0, 0, 0, 0),
        quarantine_max_bytes=1,
        drift=[],
    )


def entries(sources: dict[str, Counters]) -> list[str]:
    lines = list(page(status(sources), state="reading", folder="/s"))
    return lines[lines.index("ENTRIES") + 2 : next(at for at, line in enumerate(lines) if line.startswith("JOURNAL"))]


def test_of_many_sources_those_with_the_most_entries_are_shown_and_the_sum_of_all() -> None:
    shown = entries({f"/{n:03d}": Counters(entries=n, stored=n) for n in range(100)})
    assert [line.split()[0] for line in shown[:SOURCES_MAX_COUNT]] == [f"/{n:03d}" for n in range(80, 100)]
    assert shown[SOURCES_MAX_COUNT].split() == ["all", "sources", "4950", "4950", "0", "0", "0", "0"]
    assert "80 more sources" in shown[SOURCES_MAX_COUNT + 1]


def test_few_sources_are_shown_without_a_sum() -> None:
    shown = entries({f"/{n:03d}": Counters(entries=n, stored=n) for n in range(SOURCES_MAX_COUNT)})
    assert [line.split()[0] for line in shown if line] == [f"/{n:03d}" for n in range(SOURCES_MAX_COUNT)]


def test_a_source_that_does_not_add_up_is_named_even_where_it_is_not_shown() -> None:
    sources = {f"/{n:03d}": Counters(entries=n + 5, stored=n + 5) for n in range(100)}
    sources["/odd"] = Counters(entries=1)
    assert any("/odd: entries are not the sum" in line for line in entries(sources))


def test_of_many_files_those_that_lag_most_are_shown_and_the_lag_of_all() -> None:
    files = [FileState(f"/logs/{n}.log", f"/logs/{n}.log", 10, 20, 6000 - n, "current") for n in range(500)]
    troubles = {f"/t/{n}": f"/t/{n}: can't be read" for n in range(300)}
    many = replace(status({}), files=files, files_count=6000, lag_bytes=1 << 20, troubles=troubles)
    lines = list(page(many, state="reading", folder="/s"))
    assert len(lines) < 60
    assert sum(".log" in line for line in lines) == 20
    assert "/logs/0.log" in lines[5]
    assert "  and 5980 files more, none further behind; the lag of all 6000 is 1.0 MiB" in lines
    assert "  ! and 280 more like these: --output json has all" in lines


def test_where_names_are_asked_for_and_what_is_wrong_with_it_is_told() -> None:
    names = NamesStatus("https://c", None, "401, no", open_count=7, notes=["workspaces: its own only"])
    lines = list(page(replace(status({}), names=names), state="reading", folder="/s"))
    at = lines.index("NAMES  https://c  last asked never, 0 learnt, 7 ids open")
    assert lines[at + 1 : at + 3] == ["  ! 401, no", "  ! workspaces: its own only"]
    assert not any(line.startswith("NAMES") for line in page(status({}), state="reading", folder="/s"))


def test_many_new_types_hide_no_new_key() -> None:
    """Of each kind of what is new in the logs the first are shown, and how many there are beside them."""
    time = "2026-01-02T03:04:05.000000000Z"
    drift = [Drift(f"type:t{n}", time, 1) for n in range(100)] + [Drift("key:Region", time, 1)]
    lines = list(page(replace(status({}), drift=drift), state="reading", folder="/s"))
    assert [line.split()[:2] for line in lines if line.startswith("  type")] == [["type", f"t{n}"] for n in range(20)]
    assert any(line.split()[:2] == ["key", "Region"] for line in lines)
    assert "  and 80 more: --output json has all" in lines
