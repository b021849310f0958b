"""The demonstration behind ``make run``: a daemon on a sample log, told by the commands a person would type.

Ends with 0 only if every line that was written could be searched and the daemon ended with 0.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "tests" / "samples"
DEADLINE_SECONDS = 60.0
PAUSE_SECONDS = 0.1
SCRIPT = Path(sys.executable).parent / "connlog"
CONNLOG = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "shipper"]

CONFIG = """\
[state]
dir = "state"

[[input]]
type = "file"
paths = ["logs/*.log"]

[[output]]
type = "index"

[metrics]
listen = "127.0.0.1:0"
"""


class Failed(Exception):
    """The demonstration didn't show what it promises."""


def say(text: str) -> None:
    """A line of the story, beside the output of the commands."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def show(environment: dict[str, str], *arguments: str) -> None:
    """Print a command and run it, its output going where ours goes; it must end with 0."""
    say(f"$ connlog {shlex.join(arguments)}")
    done = subprocess.run([*CONNLOG, *arguments], env=environment, check=False)
    if done.returncode:
        raise Failed(f"connlog {arguments[0]} ended with {done.returncode}")


def count_lines(environment: dict[str, str], *arguments: str) -> int:
    """How many lines a command printed; while the index isn't there yet, none."""
    done = subprocess.run([*CONNLOG, *arguments], env=environment, capture_output=True, check=False)
    return done.stdout.count(b"\n")


def searchable(environment: dict[str, str]) -> int:
    """How many events can be found now."""
    return count_lines(environment, "search", "--events", "--limit", "0", "--output", "ndjson")


def wait(what: str, condition: Callable[[], bool], daemon: subprocess.Popen[bytes]) -> None:
    """Poll until it is so; fails at the deadline, or at once where the daemon has ended."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if daemon.poll() is not None:
            raise Failed(f"the daemon ended with {daemon.returncode} while waiting: {what}")
        if time.monotonic() > deadline:
            raise Failed(f"not within {DEADLINE_SECONDS:.0f} seconds: {what}")
        time.sleep(PAUSE_SECONDS)


def stop(daemon: subprocess.Popen[bytes]) -> None:
    """End the daemon as systemd does; it must end with 0."""
    say(f"$ kill -TERM {daemon.pid}")
    daemon.send_signal(signal.SIGTERM)
    try:
        code = daemon.wait(DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed("the daemon did not end after SIGTERM") from None
    if code:
        raise Failed(f"the daemon ended with {code}")
    say("The daemon ended with exit code 0.")


def tell(folder: Path, environment: dict[str, str], daemon_log: Path) -> None:
    """The story itself."""
    log = folder / "logs" / "coderd.log"
    later = SAMPLES / "coderd-later.log"
    events = count_lines(environment, "parse", str(log))
    more = count_lines(environment, "parse", str(later))
    if not events or not more:
        raise Failed("connlog parse finds no events in the samples")
    say(f"{log} holds {len(log.read_bytes().splitlines())} lines, {events} of them connection events.")
    show(environment, "check")

    say("$ connlog run &")
    with daemon_log.open("wb") as output:
        daemon = subprocess.Popen([*CONNLOG, "run"], env=environment, stdout=output, stderr=output)
    try:
        wait(f"{events} events of the log searchable", lambda: searchable(environment) == events, daemon)
        say(f"All {events} events can be searched. Now {more} more are written while it runs.")
        with log.open("ab") as file:
            for line in later.read_bytes().splitlines(keepends=True):
                file.write(line)
                file.flush()
                time.sleep(PAUSE_SECONDS)
        written = time.monotonic()
        wait(f"{events + more} events searchable", lambda: searchable(environment) == events + more, daemon)
        say(f"All {events + more} can be searched, {time.monotonic() - written:.1f} s after the last line was written.")
        show(environment, "search", "--limit", "12")
        show(environment, "search", "workspace:frontend status:ongoing")
        show(environment, "status")
        stop(daemon)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def main() -> int:
    """Tell the story in a folder of its own and remove it; 1 where it failed, with what the daemon said."""
    folder = Path(tempfile.mkdtemp(prefix="connlog-demo-"))
    daemon_log = folder / "daemon.log"
    try:
        (folder / "logs").mkdir()
        shutil.copy(SAMPLES / "coderd.log", folder / "logs" / "coderd.log")
        config = folder / "connlog.toml"
        config.write_text(CONFIG, encoding="utf-8")
        say(f"$ cat {config}\n{CONFIG.rstrip()}\n\n$ export CONNLOG_CONFIG={config}")
        environment = {**os.environ, "CONNLOG_CONFIG": str(config)}
        if not SCRIPT.exists():
            environment["PYTHONPATH"] = str(ROOT)
        os.chdir(folder)  # what works only in the checkout doesn't count
        tell(folder, environment, daemon_log)
    except Failed as failure:
        said = daemon_log.read_text(encoding="utf-8", errors="replace") if daemon_log.exists() else ""
        sys.stderr.write(f"\nmake run failed: {failure}\nThe daemon said:\n{said or 'nothing'}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        os.chdir(ROOT)
        shutil.rmtree(folder)
    say("It works. Next: README.md, and 'make test'.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
