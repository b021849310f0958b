"""The machine: a really running systemd in a container made of this machine's own root, thrown away afterwards.

The root is an overlay whose upper layer lies in memory: nothing that happens inside is written here. Mounts and
processes live in namespaces of their own that die with their parent, so that nothing is left behind however a test run
ends.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

BOOT_SECONDS = 240.0
STOP_SECONDS = 60.0
DEADLINE_SECONDS = 60.0
COMMAND_SECONDS = 120.0
UMASK = 0o022
"""The container's, as Debian has it, whatever ours is: a root folder that only root may enter leaves its bus waiting."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NEEDED = ("systemd-nspawn", "nsenter", "unshare", "setpriv", "mount", "systemd-machine-id-setup")
MASKED = (
    *("getty.target", "console-getty.service", "systemd-timesyncd.service", "systemd-networkd.service"),
    *("systemd-resolved.service", "systemd-logind.service"),
)
"""What systemd itself would start and has no part in this."""
MEMORY_DISK = "2g"
BOOT = """
set -eu
test -z "$3" || echo $$ >"$3/cgroup.procs"
mount -t tmpfs -o size="$2",mode=0755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" overlay "$1/root"
cd "$1/root"
rm -rf etc/machine-id var/lib/dbus/machine-id var/log/journal etc/systemd/system/default.target
# Whatever services this machine has are not started there.
rm -rf etc/systemd/system/*.wants etc/systemd/system/*.requires etc/rc[0-9S].d
systemd-machine-id-setup --root . >/dev/null
mkdir -p var/log/journal
ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
shift 3
for unit; do rm -f "etc/systemd/system/$unit"; ln -s /dev/null "etc/systemd/system/$unit"; done
cd /
mount -t tmpfs -o mode=0755 tmpfs /run
while
    code=0
    systemd-nspawn -D "$OLDPWD" -b --register=no --keep-unit systemd.firstboot=no </dev/null ||
        code=$?
    test "$code" = 133
do :; done
exit "$code"
"""
"""What becomes the container, in namespaces of its own: ``$1`` a folder, ``$2`` how much memory, ``$3`` its cgroup or
nothing, then what to mask.
With 133 systemd-nspawn asks to be started again, as for a reboot."""


def missing() -> str | None:
    """Why no container can be booted here, or None."""
    if os.geteuid() != 0:
        return "booting a container takes root"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"there is no {', '.join(lacking)}: install the package systemd-container"
    made = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no namespace with mounts of its own can be made here: {made.stderr}" if made.returncode else None


def _make_cgroup(folder: Path) -> Path | None:
    """A cgroup for the container alone, where cgroups of version 2 are mounted.

    systemd-nspawn calls its own ``payload``, whoever else is one: in the same cgroup two containers would end each
    other's processes.
    """
    mounted = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line]
    if not mounted:
        return None
    ours: str = re.findall(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)[0]
    made = Path(mounted[0][4]) / ours / f"connlog-{os.getpid()}-{folder.name}"
    made.mkdir()
    return made


class Machine:
    """One container, off until ``boot``. ``folder`` is empty, and only its console is written there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._console = folder / "console"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0
        self._cgroup: Path | None = None

    def boot(self) -> None:
        """Start it, and wait until every unit has been started."""
        disk = self._folder / "disk"
        disk.mkdir()
        self._cgroup = _make_cgroup(self._folder)
        with self._console.open("wb") as console:
            self._nspawn = subprocess.Popen(
                [
                    # The first process of a namespace takes all others of it along, and is taken along by its parent.
                    *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child=KILL"),
                    *("--mount-proc", "--mount", "--propagation", "private"),
                    *("bash", "-c", BOOT, "boot", str(disk), MEMORY_DISK, str(self._cgroup or ""), *MASKED),
                ],
                env={"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                umask=UMASK,
                stdout=console,
                stderr=console,
            )
        self._await_running(0)

    def reboot(self) -> None:
        """Restart it as an operator does: services are stopped in order, memory is lost, the disk stays."""
        before = self._init
        self.run("systemctl", "--no-block", "reboot")
        self._await_running(before)

    def close(self) -> None:
        """Switch it off; where it does not obey, end it."""
        if self._nspawn is None:
            return
        try:
            if self._init and self._nspawn.poll() is None:
                self.run("systemctl", "--no-block", "poweroff", check=False)
                self._nspawn.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            if self._nspawn.poll() is None:
                self._nspawn.kill()
            self._nspawn.wait()
            self._nspawn = None
            self._remove_cgroup()

    def _remove_cgroup(self) -> None:
        if self._cgroup is None:
            return
        # Processes that were killed leave a little later; what can't be removed is empty and does no harm.
        deadline = time.monotonic() + STOP_SECONDS
        while "populated 1" in (self._cgroup / "cgroup.events").read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        with suppress(OSError):
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                Path(folder).rmdir()

    def _await_running(self, before: int) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        state = "no init yet"
        while state not in ("running", "degraded"):
            assert self._nspawn is not None
            assert self._nspawn.poll() is None, f"the container ended: {self.console()}"
            assert time.monotonic() < deadline, (
                f"the container does not boot ({state}): {self._hanging()}{self.console()}"
            )
            time.sleep(0.05)
            found = self._find_init()
            if found in (0, before):
                continue
            self._init = found
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()

    def _find_init(self) -> int:
        """The process number of the container's init as seen from here, 0 while there is none."""
        assert self._nspawn is not None
        look_at = [self._nspawn.pid]
        try:
            for process in look_at:
                if Path(f"/proc/{process}/comm").read_text() == "systemd\n":
                    return process
                look_at += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass
        return 0

    def _hanging(self) -> str:
        """What the boot waits for, as the inner systemd tells it: its jobs, and what has failed."""
        if not self._init:
            return ""
        try:
            return "".join(
                self.run("systemctl", *words, check=False, seconds=STOP_SECONDS).stdout
                for words in (("list-jobs",), ("list-units", "--failed"), ("status", "--no-pager", "dbus.service"))
            )
        except subprocess.TimeoutExpired as expired:
            return f"{expired}\n"

    # ---- acting inside -------------------------------------------------------------------------

    def run(
        self,
        *words: str | Path,
        check: bool = True,
        given: bytes | str | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = COMMAND_SECONDS,
        umask: int = UMASK,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root, with ``given`` as its input."""
        inner = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0", **(env or {})}
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), "-a", *map(str, words)],
            input=given.encode() if isinstance(given, str) else given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            env=inner,
            timeout=seconds,
            umask=umask,
            check=False,
        )
        said = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        assert not check or said.returncode == 0, f"{words} ended with {said.returncode}: {said.stdout}{said.stderr}"
        return said

    def sh(self, script: str, *, check: bool = True, seconds: float = COMMAND_SECONDS) -> str:
        """Run a script of bash inside; returns what it printed."""
        return self.run("bash", "-euo", "pipefail", "-c", script, check=check, seconds=seconds).stdout

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Make a file inside, and the folders above it."""
        name = shlex.quote(path)
        self.run(
            *("bash", "-euc", f"mkdir -p {shlex.quote(str(Path(path).parent))}; cat >{name}; chmod {mode:o} {name}"),
            given=text,
        )

    def read(self, path: str) -> str:
        """A file inside; empty where there is none."""
        done = self.run("cat", path, check=False)
        return done.stdout if done.returncode == 0 else ""

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit."""
        text = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
        return dict(line.split("=", 1) for line in text.splitlines())

    def journal(self, unit: str, *words: str) -> str:
        """What the journal holds of a unit, in lines."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "--unit", unit, *words).stdout

    def wait_for(
        self, condition: Callable[[], object], what: str | Sequence[str], seconds: float = DEADLINE_SECONDS
    ) -> None:
        """Poll until it holds; fail loudly, with what the units ``what[1:]`` logged, when it does not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                said = "".join(self.journal(unit, "-n", "60") for unit in ([] if isinstance(what, str) else what[1:]))
                raise AssertionError(f"waited in vain: {what}\n{said}")
            time.sleep(0.1)

    def console(self) -> str:
        """The last of what the container printed while it booted."""
        return self._console.read_text(errors="replace")[-3000:]

    def kill(self, unit: str, number: signal.Signals) -> None:
        """Send a signal to a unit's main process."""
        self.run("systemctl", "kill", f"--signal={number.name}", "--kill-who=main", unit)
