"""The manifests are what Kubernetes takes, confine what they run, and hold a configuration that connlog takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from shipper.config import SplunkHecOutput, load_config
from shipper.resource import read_data
from tests.packaging.image import setting

MANIFESTS = ("config/kubernetes/daemonset.yaml", "config/kubernetes/sidecar.yaml")
VERSIONS = ("1.29", "1.31", "1.37")
"""The oldest with sidecars of its own, a middle one, and the newest that the schemas are there for."""
PODS = ("DaemonSet", "StatefulSet")


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(read_data(name)))


def pod(name: str) -> dict[str, Any]:
    (found,) = [document["spec"]["template"]["spec"] for document in documents(name) if document["kind"] in PODS]
    spec: dict[str, Any] = found
    return spec


def containers(name: str) -> list[dict[str, Any]]:
    return [*pod(name)["initContainers"], *pod(name)["containers"]]


def connlog(name: str) -> dict[str, Any]:
    (found,) = [container for container in containers(name) if container["name"] == "connlog"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_takes_the_manifests(name: str, version: str) -> None:
    for document in documents(name):
        assert kubernetes_validate.validate(document, version, strict=True)
        assert document["metadata"]["namespace"]


def test_a_wrong_manifest_is_noticed() -> None:
    (wrong,) = [document for document in documents(MANIFESTS[0]) if document["kind"] == "DaemonSet"]
    wrong["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_connlog_is_confined(name: str) -> None:
    of_pod, container = pod(name)["securityContext"], connlog(name)
    assert of_pod["runAsNonRoot"] is True
    assert of_pod["runAsUser"] > 0
    assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container["securityContext"]
    assert context.get("runAsUser", 1) > 0
    assert context.get("runAsNonRoot", True) is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/connlog", "/tmp"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod(name).keys()


def test_what_is_root_makes_one_folder_and_ends() -> None:
    roots = [c for c in containers(MANIFESTS[0]) if c["securityContext"].get("runAsUser") == 0]
    assert [container["name"] for container in roots] == ["state-folder"]
    assert roots[0]["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["CHOWN", "FOWNER"]}
    assert [mount["name"] for mount in roots[0]["volumeMounts"]] == ["state"]
    user, _, group = setting("USER").partition(":")
    of_pod = pod(MANIFESTS[0])["securityContext"]
    assert (str(of_pod["runAsUser"]), str(of_pod["runAsGroup"])) == (user, group)
    assert {user, group} <= set(roots[0]["command"])


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_mounted_is_there(name: str) -> None:
    volumes = {volume["name"] for volume in pod(name)["volumes"]}
    for document in documents(name):
        claims = document["spec"].get("volumeClaimTemplates", []) if "spec" in document else []
        volumes |= {claim["metadata"]["name"] for claim in claims}
    mounted = {mount["name"] for container in containers(name) for mount in container["volumeMounts"]}
    assert mounted == volumes


def test_probes_ask_for_health_and_a_sidecar_never_takes_coder_out_of_service() -> None:
    """A pod is ready only when all its containers are, so the sidecar has no say in it."""
    node, sidecar = connlog(MANIFESTS[0]), connlog(MANIFESTS[1])
    assert node["readinessProbe"]["httpGet"]["path"] == "/readyz"
    for container in (node, sidecar):
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        (port,) = container["ports"]
        assert container["livenessProbe"]["httpGet"]["port"] == port["name"]
        assert str(port["containerPort"]) == setting("EXPOSE")
    assert not {"readinessProbe", "startupProbe"} & sidecar.keys()
    assert sidecar["restartPolicy"] == "Always"


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_configuration_is_valid_and_finds_its_mounts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "hec-token").write_text("x")
    (text,) = [document["data"]["connlog.toml"] for document in documents(name) if document["kind"] == "ConfigMap"]
    path = tmp_path / "connlog.toml"
    path.write_text(text)
    config = load_config(path)
    assert config.metrics.listen.endswith(":" + setting("EXPOSE"))
    mounts = {mount["mountPath"] for mount in connlog(name)["volumeMounts"]}
    for source in config.inputs:
        for pattern in getattr(source, "paths", ()):
            assert any(pattern.startswith(f"{mount}/") for mount in mounts), pattern
    (output,) = [output for output in config.outputs if isinstance(output, SplunkHecOutput)]
    assert output.token_file == tmp_path / "hec-token"
    assert "CREDENTIALS_DIRECTORY=/run/secrets/connlog" in setting("ENV")
    assert "/run/secrets/connlog" in mounts
