"""The image: the steps of the Containerfile done at their own paths in a mount namespace, since no container engine is needed for that.

What a container has beside them is made there too: a root file system that is read-only, another user, no capability.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = ("unshare", "nsenter", "setpriv", "mount", "/usr/bin/python3")
BUILD_SECONDS = 240
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str | None:
    """Why no image can be made here, or None."""
    if os.geteuid() != 0:
        return "mount namespaces take root"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    return f"missing: {', '.join(lacking)}" if lacking else None


def steps() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, as pairs of keyword and rest."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text())
    stages: list[list[tuple[str, str]]] = [[]]
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            stages.append([])
        stages[-1].append((keyword, rest))
    return stages[1:]


def setting(keyword: str) -> str:
    """The last value of an instruction of the last stage."""
    return [rest for name, rest in steps()[-1] if name == keyword][-1]


def copied() -> Iterator[str]:
    """What the first stage takes from the sources."""
    for keyword, rest in steps()[0]:
        if keyword == "COPY":
            yield from rest.split()[:-1]


class Image:
    """A folder that holds /opt, /etc, /var and /tmp of the container; ``close`` ends its namespace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("opt", "etc/connlog", "var/lib/connlog", "var/log/pods", "tmp"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        # Whatever else is below /opt stays where it is: an index of packages may be.
        there = [path for path in Path("/opt").iterdir() if path.name not in {"connlog", "source", "build"}]
        mounts = [f"mkdir {self._opt(path)}; mount --rbind {path} {self._opt(path)}" for path in there if path.is_dir()]
        script = "\n".join([*mounts, f"mount --rbind {folder}/opt /opt", "echo ready", "exec sleep infinity"])
        self._keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-euc", script],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "ready\n"

    def _opt(self, path: Path) -> str:
        return shlex.quote(f"{self.folder}/opt/{path.name}")

    def build(self) -> None:
        """Do the first stage. Raises CalledProcessError where a step fails."""
        at = "/"
        for keyword, rest in steps()[0]:
            if keyword == "WORKDIR":
                at = rest
                self._place(at).mkdir(parents=True, exist_ok=True)
            elif keyword == "COPY":
                self._copy(at, *rest.split())
            elif keyword == "RUN":
                keep = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
                self.run(["sh", "-euc", f"cd {at}\n{rest}"], {**keep, "PATH": PATH, "HOME": "/tmp"})

    def _copy(self, at: str, *names: str) -> None:
        *sources, target = names
        listed = subprocess.check_output(["git", "ls-files", "-z", "--", *sources], cwd=ROOT, text=True).split("\0")
        for name in filter(None, listed):
            (source,) = [source for source in sources if name == source or name.startswith(f"{source}/")]
            rest = f"/{name.removeprefix(source)}" if target != "./" else f"/{name}"
            place = Path(os.path.normpath(f"{self._place(at)}/{target}{rest}"))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)

    def _place(self, path: str) -> Path:
        return self.folder / path.removeprefix("/")

    def run(self, command: Sequence[str], environment: dict[str, str]) -> str:
        """Run a command of the build; its stdout."""
        done = subprocess.run(
            [*self._inside(), *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _inside(self) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._keeper.pid}/ns/mnt"]

    def container(self, command: Sequence[str], user: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in the container, with setpriv's arguments ``user``."""
        script = f"""
for name in etc var; do mount --bind {self.folder}/$name /$name; done
mount --bind /var/log/pods /var/log/pods
mount --bind /var/lib/connlog /var/lib/connlog
mount --rbind {self.folder}/tmp /tmp
for place in / /opt /etc /var /var/log/pods; do mount -o remount,bind,ro $place; done
cd /var/lib/connlog
exec setpriv "$@"
"""
        wanted = ["env", "-i", *self.environment(), *command]
        return [*self._inside(), "unshare", "--mount", "sh", "-euc", script, "sh", *user, *wanted]

    def environment(self) -> list[str]:
        """What ENV of the last stage sets."""
        return shlex.split(setting("ENV").replace("$PATH", PATH))

    def entry(self) -> list[str]:
        """The command that the container runs by itself."""
        return [*json.loads(setting("ENTRYPOINT")), *json.loads(setting("CMD"))]

    def close(self) -> None:
        self._keeper.kill()
        self._keeper.wait()
        assert self._keeper.stdout is not None
        self._keeper.stdout.close()
