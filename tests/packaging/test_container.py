"""The image builds from what git knows, and runs as somebody else on a root file system that is read-only."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipper import __version__
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.packaging.image import ROOT, CleanImage, Image, copied, missing, setting, steps

SAMPLE = ROOT / "tests" / "samples" / "coderd.log"
POD = "var/log/pods/coder_coder-0_0b3e2c5e-1111-4222-8333-444455556666/coder"
WAIT_SECONDS = 60.0
UID = "64321"
CLEAN_ROOT = "CONNLOG_CLEAN_ROOT"
"""Names a root that debootstrap made, for the image to be built on: make container-check."""
SPLUNK = "https://splunk.example.com:8088"
LISTEN = "0.0.0.0:9464"
CONFINED = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


def test_everything_that_is_copied_is_known_to_git_and_let_through() -> None:
    let = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(let) == sorted(set(copied()))
    known = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    for name in let:
        assert fnmatch.filter(known, name) or fnmatch.filter(known, f"{name}/*"), name


def test_the_image_has_several_stages_and_is_not_roots() -> None:
    build, final = steps()
    assert setting("USER") == f"{UID}:{UID}"
    assert not any(word in rest for keyword, rest in final if keyword == "RUN" for word in ("pip", "apt"))
    installs = [rest for keyword, rest in build if keyword == "RUN" and "pip install" in rest and "dist/" not in rest]
    assert installs
    assert all("--require-hashes" in rest for rest in installs)


@pytest.fixture(scope="module", autouse=True)
def umask() -> Iterator[None]:
    """That of who builds images and lays out pods' volumes, not of whoever runs the tests; the sources stay as they lie here."""
    ours = os.umask(0o022)
    yield
    os.umask(ours)


@pytest.fixture(scope="module")
def image(umask: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("image") / "root"
    base = os.environ.get(CLEAN_ROOT)
    one = CleanImage(folder, Path(base)) if base else Image(folder)
    try:
        one.build()
        yield one
    finally:
        one.close()


def configure(image: Image, documents: list[dict[str, Any]], server: HecServer) -> None:
    """Lay out the manifest's configuration, but for where Splunk is and which port is free here, and its secret."""
    (text,) = [document["data"]["connlog.toml"] for document in documents if document["kind"] == "ConfigMap"]
    assert text.count(SPLUNK) == text.count(LISTEN) == 1
    text = text.replace(SPLUNK, server.url).replace(LISTEN, "127.0.0.1:0")
    (image.folder / "etc/connlog/connlog.toml").write_text(text)


def give_token(image: Image, volume: dict[str, Any], group: int) -> None:
    """The secret as kubelet mounts it: for the pod's group to read."""
    token = image.folder / "run/secrets/connlog/hec-token"
    token.unlink(missing_ok=True)
    token.write_text(TOKEN)
    os.chown(token, 0, group)
    token.chmod(volume["secret"]["defaultMode"])


def pod_of(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (spec,) = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == kind]
    found: dict[str, Any] = spec
    return found


def confined(context: dict[str, Any]) -> list[str]:
    """The arguments of setpriv that make the user of a pod."""
    groups = ",".join(str(group) for group in (*context.get("supplementalGroups", ()), context["fsGroup"]))
    return [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", f"--groups={groups}", *CONFINED]


def works(image: Image, user: list[str], told: Path, server: HecServer) -> None:
    """The daemon runs as ``user``: its probes answer, its events are found and are in Splunk, it writes nowhere else,
    and it ends as it is told to."""
    with told.open("w") as stderr:
        daemon = subprocess.Popen(image.container(image.entry(), user), stderr=stderr)
    try:
        port = _port(daemon, told)
        for path in ("healthz", "readyz"):
            _answers(f"http://127.0.0.1:{port}/{path}")
        enter = ["nsenter", f"--target={daemon.pid}", "--mount", "--root", "--wd=/"]
        inside = [*enter, "setpriv", *user, "env", "-i", *image.environment()]
        found = _found([*inside, "connlog", "search", "--events", "--output", "ndjson", "--limit", "0"])
        ids = {str(record["id"]) for record in found}
        deadline = time.monotonic() + WAIT_SECONDS
        while not ids or set(server.store.counts()) != ids:
            assert time.monotonic() < deadline, told.read_text()
            time.sleep(0.05)
        version = subprocess.check_output([*inside, "connlog", "--version"], text=True)
        assert __version__ in version
        assert TOKEN not in told.read_text()
        places = ("/opt/connlog/bin", "/etc/connlog", "/var", "/var/log/pods", "/var/log/coder", "/")
        for place in (*places, "/run/secrets/connlog"):
            refused = subprocess.run([*inside, "touch", f"{place}/x"], capture_output=True, text=True, check=False)
            assert "Read-only file system" in refused.stderr, place
        daemon.send_signal(getattr(signal, setting("STOPSIGNAL")))
        assert daemon.wait(WAIT_SECONDS) == 0, told.read_text()
    finally:
        daemon.kill()
        daemon.wait()


@pytest.fixture
def server() -> Iterator[HecServer]:
    with HecServer(Token()) as one:
        yield one


@pytest.fixture
def state(image: Image) -> Path:
    """The volume of the state, new."""
    folder = image.folder / "var/lib/connlog"
    for path in folder.iterdir():
        path.unlink()
    os.chown(folder, 0, 0)
    folder.chmod(0o755)
    return folder


@pytest.mark.packaging
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_node_s_containers_are_read_by_a_container_that_may_write_nothing_but_its_state(
    image: Image, state: Path, server: HecServer, tmp_path: Path
) -> None:
    """The image with all that the manifest sets: its steps, its user and groups, its configuration, its secret."""
    documents = list(yaml.safe_load_all((ROOT / "config/kubernetes/daemonset.yaml").read_text()))
    pod = pod_of(documents, "DaemonSet")
    context = pod["securityContext"]
    configure(image, documents, server)
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "tokens"]
    give_token(image, volume, context["fsGroup"])
    log = image.folder / POD / "0.log"
    log.parent.mkdir(parents=True)
    lines = SAMPLE.read_text().splitlines()
    log.write_text("".join(f"2026-01-12T10:20:53.000000001Z stderr F {line}\n" for line in lines))
    log.chmod(0o640)
    (first,) = pod["initContainers"]
    added = ",".join(f"+{name.lower()}" for name in first["securityContext"]["capabilities"]["add"])
    for _ in range(2):
        prepare = image.container(first["command"], ["--no-new-privs", f"--bounding-set=-all,{added}"])
        subprocess.run(prepare, check=True, timeout=WAIT_SECONDS)
    works(image, confined(context), tmp_path / "stderr", server)
    assert (state.stat().st_mode & 0o7777, state.stat().st_uid) == (0o750, int(UID))


@pytest.mark.packaging
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sidecar_reads_coderd_s_own_file_as_coderd_s_user(
    image: Image, state: Path, server: HecServer, tmp_path: Path
) -> None:
    """No account of the image has that number, and the volume of the state is root's, writable for the pod's group,
    as kubelet makes it."""
    documents = list(yaml.safe_load_all((ROOT / "config/kubernetes/sidecar.yaml").read_text()))
    pod = pod_of(documents, "StatefulSet")
    context = pod["securityContext"]
    configure(image, documents, server)
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "connlog-tokens"]
    give_token(image, volume, context["fsGroup"])
    logs = image.folder / "var/log/coder"
    for folder in (state, logs):
        os.chown(folder, 0, context["fsGroup"])
        folder.chmod(0o2775)
    log = logs / "coderd.log"
    log.write_text(SAMPLE.read_text())
    os.chown(log, context["runAsUser"], context["runAsGroup"])
    log.chmod(0o600)
    works(image, confined(context), tmp_path / "stderr", server)
    assert {path.stat().st_uid for path in state.iterdir()} == {context["runAsUser"]}
    assert stat.S_IMODE((state / "journal.db").stat().st_mode) == 0o600


def _port(daemon: subprocess.Popen[bytes], told: Path) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        found = re.search(r"metrics are on http://127\.0\.0\.1:(\d+)/", told.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(told.read_text())


def _answers(url: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=WAIT_SECONDS) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as error:
            assert time.monotonic() < deadline, error.read()
            time.sleep(0.05)


def _found(command: list[str]) -> list[dict[str, object]]:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return [json.loads(line) for line in done.stdout.splitlines()]
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.05)
