"""The image builds from what git knows, and runs as somebody else on a root file system that is read-only."""

from __future__ import annotations

import fnmatch
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shipper import __version__
from tests.packaging.image import ROOT, Image, copied, missing, setting, steps

SAMPLE = ROOT / "tests" / "samples" / "coderd.log"
POD = "var/log/pods/coder_coder-0_0b3e2c5e-1111-4222-8333-444455556666/coder"
WAIT_SECONDS = 60.0
UID = "64321"
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("image")
    one = Image(folder)
    try:
        one.build()
        yield one
    finally:
        one.close()


@pytest.mark.packaging
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_node_s_containers_are_read_by_a_container_that_may_write_nothing_but_its_state(
    image: Image, tmp_path: Path
) -> None:
    """The image with the settings of the manifest: its steps, its user and groups, its configuration but for Splunk."""
    documents = list(yaml.safe_load_all((ROOT / "config/kubernetes/daemonset.yaml").read_text()))
    (text,) = [document["data"]["connlog.toml"] for document in documents if document["kind"] == "ConfigMap"]
    (pod,) = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "DaemonSet"]
    text = re.sub(r'\[\[output\]\]\ntype = "splunk_hec"\n(?:\w.*\n)+', "", text).replace("0.0.0.0:9464", "127.0.0.1:0")
    (image.folder / "etc/connlog/connlog.toml").write_text(text)
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
    context = pod["securityContext"]
    groups = ",".join(str(group) for group in (*context["supplementalGroups"], context["fsGroup"]))
    user = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", f"--groups={groups}", *CONFINED]
    told = tmp_path / "stderr"
    with told.open("w") as stderr:
        daemon = subprocess.Popen(image.container(image.entry(), user), stderr=stderr)
    try:
        port = _port(daemon, told)
        for path in ("healthz", "readyz"):
            _answers(f"http://127.0.0.1:{port}/{path}")
        inside = ["nsenter", f"--mount=/proc/{daemon.pid}/ns/mnt", "setpriv", *user, "env", "-i", *image.environment()]
        assert _found([*inside, "connlog", "search", "--output", "ndjson", "--limit", "0"])
        version = subprocess.check_output([*inside, "connlog", "--version"], text=True)
        assert __version__ in version
        for place in ("/opt/connlog/bin", "/etc/connlog", "/var", "/var/log/pods", "/"):
            refused = subprocess.run([*inside, "touch", f"{place}/x"], capture_output=True, text=True, check=False)
            assert "Read-only file system" in refused.stderr, place
        daemon.send_signal(getattr(signal, setting("STOPSIGNAL")))
        assert daemon.wait(WAIT_SECONDS) == 0, told.read_text()
    finally:
        daemon.kill()
        daemon.wait()
    state = image.folder / "var/lib/connlog"
    assert (state.stat().st_mode & 0o7777, state.stat().st_uid) == (0o750, int(UID))


def _port(daemon: subprocess.Popen[bytes], told: Path) -> str:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        found = re.search(r"127\.0\.0\.1:([1-9]\d*)", told.read_text())
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
