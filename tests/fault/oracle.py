"""The oracle: compares what the writer's ledger says with what is in index and journal afterwards."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.hec.store import Indexed

GAP_SOURCETYPE = "connlog:gap"
POSSIBLE_DUPLICATES = "SELECT value FROM tallies WHERE name = 'possible_duplicates'"
SLACK_NS = 50_000_000
EVENT_MAX_BYTES = 900


@dataclass
class Verdict:
    """What became of the events. ``problems`` is empty if every promise held."""

    written: int = 0
    indexed: int = 0
    destroyed: int = 0
    """Events that the writer destroyed, read by then or not."""
    missing: int = 0
    """Events that are not in the index."""
    unseen: int = 0
    """Of these the ones in a file that was made and destroyed between two looks of connlog: nobody can know of them."""
    looks: int = 0
    """Looks at all files of which all that they found is in the journal."""
    blind: int = 0
    """Lives of the daemon that were ended before the first of them."""
    unnamed: int = 0
    """Of these the ones that no gap names, or that were never destroyed: lost."""
    doubled: int = 0
    """Rows of the index beyond one for each event."""
    again: int = 0
    """Events whose bytes were read twice; their ids took the second copy out before it was stored."""
    reused: int = 0
    """Files that were made on the inode of an earlier one."""
    gaps: int = 0
    gap_bytes: int = 0
    sent: int | None = None
    """Events in the HEC; None where there was none."""
    sent_again: int = 0
    """Events in the HEC beyond the first of their id."""
    told: int = 0
    """Possible duplicates that connlog counted."""
    problems: list[str] = field(default_factory=list)


def judge(
    ledger: Path, state: Path, jump_seconds: float, runs: list[tuple[int, int]], looks: list[tuple[int, int]]
) -> Verdict:
    """Compare; the daemon has ended. ``runs`` are the times between which a daemon ran, with a clock that was right
    or wrong by ``jump_seconds``, which is longer than all of them together; ``looks`` those between which it looked at all
    files, and lived to keep what it found."""
    blind = sum(1 for begin, end in runs if not any(begin < began < end for began, _ in looks))
    verdict = Verdict(looks=len(looks), blind=blind)
    log_of: dict[int, str] = {}
    destroyed: dict[int, tuple[int, str]] = {}
    unseen: set[int] = set()
    for line in ledger.read_text().splitlines():
        entry = json.loads(line)
        if entry["what"] == "reused":
            verdict.reused += 1
            continue
        numbers = [n for first, last in entry["numbers"] for n in range(first, last + 1)]
        if entry["what"] == "written":
            log_of.update(dict.fromkeys(numbers, entry["log"]))
        else:
            destroyed.update(dict.fromkeys(numbers, (entry["time_ns"], entry["how"])))
            if not any(entry["born_ns"] < began and ended < entry["time_ns"] for began, ended in looks):
                unseen.update(numbers)
    rows = _rows(state / "index.db", "SELECT event FROM events")
    found = [int.from_bytes(row[0], "big") - 1 for row in rows]
    gaps = [json.loads(row[0]) for row in _rows(state / "index.db", "SELECT body FROM gaps")]
    counters = _rows(
        state / "journal.db",
        "SELECT source, entries, stored + duplicates + malformed + not_ours, stored, duplicates, malformed FROM counters",
    )
    missing = sorted(set(log_of) - set(found))
    again = sum(row[4] for row in counters)
    verdict.written, verdict.indexed = len(log_of), len(set(found))
    verdict.destroyed, verdict.missing = len(destroyed), len(missing)
    verdict.doubled, verdict.again = len(found) - len(set(found)), again
    verdict.gaps, verdict.gap_bytes = len(gaps), sum(gap["bytes"] or 0 for gap in gaps)
    if verdict.doubled:
        verdict.problems.append(f"{verdict.doubled} rows doubled")
    if extra := set(found) - set(log_of):
        verdict.problems.append(f"{len(extra)} events in the index were never written")
    for source, entries, accounted, _, _, malformed in counters:
        if entries != accounted:
            verdict.problems.append(f"{source}: {entries} entries, {accounted} accounted for")
        if malformed > len(destroyed):
            verdict.problems.append(f"{source}: {malformed} malformed entries")
    if sum(row[3] for row in counters) != len(set(found)):
        verdict.problems.append("the journal counted other events as stored than the index holds")
    jump_ns = int(jump_seconds * 1e9)

    def true_ns(stamp: str) -> int:
        """The time that a daemon with a wrong clock meant."""
        told = _ns(stamp)
        return next((t for t in (told, told - jump_ns, told + jump_ns) if abs(t - runs[0][0]) < jump_ns // 2), told)

    spans: dict[str, list[tuple[int, int]]] = {}
    for gap in gaps:
        name = Path(gap["source"].get("path") or "").name
        for log in set(log_of.values()):
            if name.startswith((f"{log}.log", f"{log}-2026")):
                spans.setdefault(log, []).append((true_ns(gap["from"]) - SLACK_NS, true_ns(gap["to"]) + SLACK_NS))
    never = [n for n in missing if n not in destroyed]
    unnamed = [
        n for n in missing if n in destroyed and not any(a <= destroyed[n][0] <= b for a, b in spans.get(log_of[n], []))
    ]
    verdict.unseen = sum(1 for n in unnamed if n in unseen)
    unnamed = [n for n in unnamed if n not in unseen]
    verdict.unnamed = len(never) + len(unnamed)
    if never:
        verdict.problems.append(
            f"{len(never)} events that nobody destroyed are missing: {_few(never)} of {sorted({log_of[n] for n in never})}"
        )
    if unnamed:
        hows = sorted({(log_of[n], destroyed[n][1]) for n in unnamed})
        verdict.problems.append(f"{len(unnamed)} destroyed events are named by no gap: {_few(unnamed)} of {hows}")
    for log in sorted(set(log_of.values())):
        lost = sum(EVENT_MAX_BYTES for n in missing if log_of[n] == log)
        named = sum(
            gap["bytes"] or 0
            for gap in gaps
            if Path(gap["source"].get("path") or "").name.startswith((f"{log}.log", f"{log}-2026"))
        )
        if named > lost:
            verdict.problems.append(f"{log}: gaps name {named} bytes, at most {lost} are missing: no lower bound")
    return verdict


def judge_hec(verdict: Verdict, state: Path, events: list[Indexed]) -> None:
    """Compare what a HEC holds with the index: at least once each event and each gap, nothing else, and what is there
    more often was counted as a possible duplicate."""
    ids = [row[0] for row in _rows(state / "index.db", "SELECT event FROM events")]
    wanted = {str(uuid.UUID(bytes=bytes(id_))) for id_ in ids}
    found = Counter(event.event_id or "" for event in events if event.sourcetype != GAP_SOURCETYPE)
    gaps = {json.dumps(event.event, sort_keys=True) for event in events if event.sourcetype == GAP_SOURCETYPE}
    verdict.sent, verdict.sent_again = len(found), found.total() - len(found)
    verdict.told = sum(row[0] for row in _rows(state / "journal.db", POSSIBLE_DUPLICATES))
    if lost := wanted - found.keys():
        verdict.problems.append(f"{len(lost)} events of the index are not in the HEC, as {min(lost)}")
    if extra := found.keys() - wanted:
        verdict.problems.append(f"{len(extra)} events in the HEC are not in the index, as {min(extra)}")
    if len(gaps) < verdict.gaps:
        verdict.problems.append(f"{verdict.gaps} gaps are in the index, {len(gaps)} in the HEC")
    if verdict.sent_again > verdict.told:
        verdict.problems.append(f"{verdict.sent_again} events doubled in the HEC, {verdict.told} counted as possible")


def _rows(path: Path, statement: str) -> list[Any]:
    if not path.exists():
        return []
    database = sqlite3.connect(path, timeout=60)
    try:
        return database.execute(statement).fetchall()
    finally:
        database.close()


def _ns(text: str) -> int:
    moment = datetime.fromisoformat(text[:26] + "+00:00")
    return int(moment.timestamp()) * 1_000_000_000 + int(text[20:29])


def _few(numbers: list[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]}"
