"""The image: the steps of the Containerfile done at their own paths in a mount namespace, since no container engine is needed for that.

What a container has beside them is made there too: a root file system that is read-only, another user, no capability. ``Image`` does it over
this machine's own root, ``CleanImage`` over one that debootstrap made, with nothing of this machine in it (``make container-check``).
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
BUILD_SECONDS = 600
VOLUMES = ("etc/connlog", "var/lib/connlog", "var/log/pods", "var/log/coder", "tmp")
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
        for name in ("opt", *VOLUMES, "run/secrets/connlog"):
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
for name in pods coder; do mount --bind /var/log/$name /var/log/$name; done
mount --bind /var/lib/connlog /var/lib/connlog
mount -t tmpfs tmpfs /run
mkdir -p /run/secrets/connlog
mount --bind {self.folder}/run/secrets/connlog /run/secrets/connlog
mount --rbind {self.folder}/tmp /tmp
for place in / /opt /etc /var /var/log/pods /var/log/coder /run /run/secrets/connlog; do mount -o remount,bind,ro $place; done
cd /var/lib/connlog
exec setpriv "$@"
"""
        return self._contained(script, command, user)

    def _contained(self, script: str, command: Sequence[str], user: Sequence[str]) -> list[str]:
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


class CleanImage(Image):
    """The same over ``base``, a root that debootstrap made: both stages are done as they stand, by chroot."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder = folder
        for name in ("work", *VOLUMES, "run/secrets/connlog"):
            (folder / name).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        self._final = False
        script = [f"mount -t tmpfs -o mode=0755 tmpfs {folder}/work", f"cd {folder}/work"]
        for stage in ("first", "last"):
            upper, work, root = (f"{folder}/work/{stage}-{name}" for name in ("upper", "work", "root"))
            script += [
                f"mkdir {upper} {work} {root}",
                f"mount -t overlay -o lowerdir={base},upperdir={upper},workdir={work} overlay {root}",
                f"mount -t proc proc {root}/proc",
                f"mount --rbind /dev {root}/dev",
            ]
        # What this machine needs to reach the index of packages.
        first = f"{folder}/work/first-root"
        script += [
            f"cp -L /etc/resolv.conf /etc/hosts {first}/etc",
            f"mount --bind /etc/ssl/certs {first}/etc/ssl/certs",
        ]
        self._keeper = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-euc"),
                "\n".join([*script, "echo ready", "exec sleep infinity"]),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == "ready\n"

    def build(self) -> None:
        """Do both stages. Raises AssertionError where a step fails."""
        super().build()
        self._final = True
        for keyword, rest in steps()[1]:
            if keyword == "COPY":
                _, source, target = rest.split()
                work = f"{self.folder}/work"
                Image.run(self, ["cp", "-a", f"{work}/first-root{source}", f"{work}/last-root{target}"], {"PATH": PATH})
            elif keyword == "RUN":
                self.run(["sh", "-euc", rest], {"PATH": PATH})

    @property
    def _root(self) -> str:
        return f"{self.folder}/work/{'last' if self._final else 'first'}-root"

    def _place(self, path: str) -> Path:
        return Path(f"/proc/{self._keeper.pid}/root{self._root}{path}")

    def run(self, command: Sequence[str], environment: dict[str, str]) -> str:
        """Run a command of the build in its root; its stdout."""
        return super().run(["chroot", self._root, *command], environment)

    def container(self, command: Sequence[str], user: Sequence[str]) -> list[str]:
        """The command line that runs ``command`` in the container, with setpriv's arguments ``user``."""
        volumes = " ".join((*VOLUMES, "run/secrets/connlog"))
        script = f"""
cd {self._root}
mkdir -p {volumes}
for name in {volumes}; do mount --bind {self.folder}/$name $name; done
for place in . etc/connlog var/log/pods var/log/coder run/secrets/connlog; do mount -o remount,bind,ro {self._root}/$place; done
exec chroot . sh -euc 'cd /var/lib/connlog; exec setpriv "$@"' sh "$@"
"""
        return self._contained(script, command, user)
