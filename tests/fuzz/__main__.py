"""``python -m tests.fuzz [SECONDS] [TARGET…]``: coverage-guided fuzzing of every target, one process each, in turn.

Needs atheris, of the dev extra. What was learned stays in ``.run/fuzz``, so that the next run goes on from there;
an input that breaks a promise is left there too, and its path is printed. Ends with 1 if there is any.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.seed import write_dictionary, write_seeds

TARGETS = ("human", "json", "stackdriver", "wrapper")
ROOT = Path(__file__).resolve().parents[2]
MEMORY_MB = 1024
HANG_SECONDS = 20


def fuzz(target: str, folder: Path, *limits: str) -> subprocess.CompletedProcess[str]:
    """One target in a process of its own; ``limits`` are libFuzzer's, like ``-runs=1000``."""
    seeds, learned = folder / f"{target}-seeds", folder / target
    learned.mkdir(parents=True, exist_ok=True)
    write_seeds(seeds, target)
    write_dictionary(folder / "words")
    command = [
        sys.executable, "-m", "tests.fuzz.run", target, f"-artifact_prefix={folder}/broken-{target}-", f"-dict={folder}/words",
        f"-rss_limit_mb={MEMORY_MB}", f"-timeout={HANG_SECONDS}", "-max_len=8192", *limits, str(learned), str(seeds),
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parser, coverage-guided.")
    parser.add_argument("seconds", nargs="?", type=int, default=240, help="for all targets together (240)")
    parser.add_argument("targets", nargs="*", help=f"some of {', '.join(TARGETS)} (all)")
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    broken = 0
    for target in targets:
        done = fuzz(target, ROOT / ".run" / "fuzz", f"-max_total_time={max(1, options.seconds // len(targets))}")
        last = [line for line in done.stderr.splitlines() if line.startswith(("#", "Done"))][-1:]
        sys.stdout.write(f"{target}: {'broken' if done.returncode else 'held'} {' '.join(last)}\n")
        if done.returncode:
            broken += 1
            sys.stdout.write(done.stdout[-4000:] + done.stderr[-4000:] + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
