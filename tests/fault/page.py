"""The page: the figures of a campaign as text, and kept in the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tests.fault.campaign import Figures
from tests.fault.steps import STEPS

BEGIN, END = "<!-- figures: written by make fault -->", "<!-- end of figures -->"


def rows(figures: Figures) -> list[tuple[str, str]]:
    """Each figure with its name."""
    verdict = figures.verdict
    return [
        ("kills", str(figures.kills.total())),
        ("of these at a random moment", str(figures.kills["random"])),
        ("of these at a named step", str(figures.kills.total() - figures.kills["random"])),
        ("full disks", str(figures.full_disks) if figures.disk_tested else "not tested: needs root"),
        ("clock jumps of two hours", str(figures.clock_jumps)),
        ("files made on the inode of an earlier one", str(verdict.reused)),
        ("events written", str(verdict.written)),
        ("events in the index", str(verdict.indexed)),
        ("events that the writer destroyed", str(verdict.destroyed)),
        ("of these destroyed unread", str(verdict.missing)),
        ("of these in files made and destroyed between two looks", str(verdict.unseen)),
        ("looks at all files whose result was kept", str(verdict.looks)),
        ("lives that were ended before the first of them", str(verdict.blind)),
        ("gaps recorded", str(verdict.gaps)),
        ("events lost without a gap", str(verdict.unnamed)),
        ("events doubled in the index", str(verdict.doubled)),
        ("events read twice, known by their id and stored once", str(verdict.again)),
        *_hec_rows(figures),
        ("seconds", f"{figures.seconds:.0f}"),
        ("seed", str(figures.seed)),
    ]


def _hec_rows(figures: Figures) -> list[tuple[str, str]]:
    verdict = figures.verdict
    if verdict.sent is None:
        return []
    return [
        ("events in the HEC", str(verdict.sent)),
        ("faults of the HEC", str(figures.weather.total() - figures.weather["events lost in crashes"])),
        ("events that the HEC took and lost in crashes", str(figures.weather["events lost in crashes"])),
        ("events doubled in the HEC", str(verdict.sent_again)),
        ("possible duplicates that connlog counted", str(verdict.told)),
    ]


def text(figures: Figures) -> str:
    """The figures for a terminal."""
    lines = [f"{name:64}{value:>12}" for name, value in rows(figures)]
    lines += [f"  killed at {step:52}{figures.kills[step]:>12}" for step in STEPS]
    lines += [f"  at the HEC: {name:50}{count:>12}" for name, count in sorted(figures.weather.items())]
    lines += [f"PROBLEM: {problem}" for problem in figures.verdict.problems]
    return "\n".join(lines) + "\n"


def write_page(path: Path, figures: Figures) -> None:
    """Replace the figures in the page at ``path``, which has their place marked."""
    page = path.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = [
        f"`make fault` of {datetime.now(UTC):%Y-%m-%d}:",
        "",
        "| figure | |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows(figures)),
        "",
        "| step | what is true at it | kills |",
        "|---|---|---:|",
        *(f"| `{step}` | {meaning} | {figures.kills[step]} |" for step, meaning in STEPS.items()),
    ]
    table += ["", *(f"**{problem}**" for problem in figures.verdict.problems)]
    path.write_text(f"{before}{BEGIN}\n" + "\n".join(table).rstrip() + f"\n{END}{after}", encoding="utf-8")
