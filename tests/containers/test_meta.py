"""What the paths and links of Kubernetes and Docker tell goes to source.meta, and no file is read under two names."""

from __future__ import annotations

import gzip
from pathlib import Path

from shipper.inputs.container import Links, meta_of
from tests.containers.test_rotation import DOCKER_ID, UID, Docker, Kubelet, Reader, event

POD = f"/var/log/pods/prod_coder-7d9_{UID}/coder/3.log"


def test_a_path_of_kubelet_tells_pod_and_restarts_also_when_it_was_rotated() -> None:
    told = {"namespace": "prod", "pod": "coder-7d9", "pod_uid": UID, "container": "coder", "restarts": 3}
    for ending in ("", ".20260901-101010", ".20260901-101010.gz"):
        assert meta_of(POD + ending) == told


def test_links_and_docker_tell_the_container() -> None:
    link = f"/var/log/containers/coder-7d9_prod_coder-{DOCKER_ID}.log"
    assert meta_of(link) == {
        "namespace": "prod",
        "pod": "coder-7d9",
        "container": "coder",
        "container_id": DOCKER_ID,
    }
    assert meta_of(f"/var/lib/docker/containers/{DOCKER_ID}/{DOCKER_ID}-json.log.1") == {"container_id": DOCKER_ID}
    for other in (
        "/var/log/coder/coderd.log",
        "/var/log/a_b_c/d/x.log",
        "/var/log/coder_1.log",
        POD.replace("3.log", "log"),
    ):
        assert meta_of(other) == {}


def test_a_record_tells_namespace_pod_container_and_stream(tmp_path: Path) -> None:
    log = Kubelet(tmp_path, 50)
    for line in log.records(event(1, 40), "stderr"):
        log.append(line)
    reader = Reader(log)
    reader.turn(2)
    (record,) = reader.records
    assert record.source.path == str(log.current)
    assert record.source.meta == {
        "namespace": "ns",
        "pod": "coder-0",
        "pod_uid": UID,
        "container": "coder",
        "restarts": 0,
        "container_id": DOCKER_ID,
        "stream": "stderr",
    }
    reader.stop(crash=False)


def test_a_file_that_both_patterns_name_is_read_once_over_rotation_and_restart(tmp_path: Path) -> None:
    log = Kubelet(tmp_path, 50)
    reader = Reader(log)
    for number in range(5):
        for line in log.records(event(number, 5), "stderr"):
            log.append(line)
        reader.turn()
        reader.stop(crash=bool(number % 2))
        log.rotate()
        reader.start()
        reader.turn()
    assert [int(record.id[-12:]) for record in reader.records] == list(range(5))
    assert reader.entries == 5
    assert not reader.gaps
    reader.stop(crash=False)


def test_only_the_links_folder_is_enough_to_find_what_was_rotated_while_nobody_looked(tmp_path: Path) -> None:
    """Rotated files lie beside the file, not beside the link."""
    log = Kubelet(tmp_path, 50)
    log.patterns = (f"{tmp_path}/containers/*.log",)
    reader = Reader(log)
    for line in log.records(event(0, 5), "stderr"):
        log.append(line)
    reader.turn()
    reader.stop(crash=False)
    for line in log.records(event(1, 5), "stderr"):
        log.append(line)
    log.rotate()
    for line in log.records(event(2, 5), "stderr"):
        log.append(line)
    reader.start()
    reader.turn(2)
    assert [int(record.id[-12:]) for record in reader.records] == [0, 1, 2]
    assert not reader.gaps
    reader.stop(crash=False)


def test_compressed_files_that_were_not_read_are_read_and_others_never_again(tmp_path: Path) -> None:
    log = Docker(tmp_path, 16_384)
    reader = Reader(log)

    def write(*numbers: int) -> None:
        for number in numbers:
            for line in log.records(event(number, 20_000), "stdout"):
                log.append(line)

    write(0)
    reader.turn()
    reader.stop(crash=False)
    write(1)
    log.rotate()
    write(2)
    log.rotate()
    write(3)
    assert [path.suffix for path in sorted(log.folder.iterdir())] == [".log", ".1", ".gz"]
    reader.start()
    reader.turn(15)
    reader.stop(crash=False)
    reader.start()
    reader.turn(3)
    log.rotate()
    reader.turn(3)
    reader.stop(crash=False)
    assert sorted(int(record.id[-12:]) for record in reader.records) == [0, 1, 2, 3]
    assert reader.entries == 4
    assert not reader.gaps
    with gzip.open(f"{log.current}.2.gz") as packed:
        assert packed.read(1)


def test_pod_and_docker_are_both_known_behind_two_links(tmp_path: Path) -> None:
    """cri-dockerd: the link of kubelet points to a link to Docker's file."""
    real = tmp_path / "docker" / DOCKER_ID / f"{DOCKER_ID}-json.log"
    middle = tmp_path / "pods" / f"ns_coder-0_{UID}" / "coder" / "0.log"
    link = tmp_path / "containers" / f"coder-0_ns_coder-{DOCKER_ID}.log"
    for path in (real, middle, link):
        path.parent.mkdir(parents=True)
    real.touch()
    middle.symlink_to(real)
    link.symlink_to(middle)
    links = Links()
    assert links.resolve(str(link)) == str(real)
    assert links.meta(f"{real}.1") == {
        "namespace": "ns",
        "pod": "coder-0",
        "pod_uid": UID,
        "container": "coder",
        "restarts": 0,
        "container_id": DOCKER_ID,
    }
    other = tmp_path / "current.log"
    other.symlink_to(real)
    assert links.resolve(str(other)) == str(other)
