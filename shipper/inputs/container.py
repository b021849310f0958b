"""The container: what the path of its log tells of it, and the file behind the links that Kubernetes makes to it.

Facts: kubelet writes ``/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restarts>.log`` and links to it from
``/var/log/containers/<pod>_<namespace>_<container>-<id>.log``; under cri-dockerd that file is itself a link to
``…/containers/<id>/<id>-json.log``. Names hold no underscore. What a rotation makes lies beside the file, never beside
a link.
"""

from __future__ import annotations

import os
from collections import OrderedDict

from shipper.pattern import pattern
from shipper.record import JsonValue

LINKS_MAX_COUNT = 4096
HOPS_MAX_COUNT = 8
Meta = dict[str, JsonValue]

_pod = pattern(
    r"/([a-z0-9.-]{1,253})_([a-z0-9.-]{1,253})_([0-9A-Za-z-]{1,64})/([a-z0-9.-]{1,253})/(\d{1,9})\.log[^/]*\Z"
)
_link = pattern(r"/([a-z0-9.-]{1,253})_([a-z0-9.-]{1,253})_([a-z0-9.-]{1,253})-([0-9a-f]{64})\.log\Z")
_docker = pattern(r"/([0-9a-f]{64})/\1-json\.log[^/]*\Z")


def meta_of(path: str) -> Meta:
    """What the path itself tells: namespace, pod, pod_uid, container, restarts, container_id; nothing for other files."""
    found = _pod.search(path)
    if found is not None:
        namespace, pod, uid, container, restarts = found.groups()
        return {
            "namespace": namespace,
            "pod": pod,
            "pod_uid": uid,
            "container": container,
            "restarts": int(restarts),
        }
    found = _link.search(path)
    if found is not None:
        pod, namespace, container, number = found.groups()
        return {"namespace": namespace, "pod": pod, "container": container, "container_id": number}
    found = _docker.search(path)
    return {"container_id": found[1]} if found is not None else {}


class Links:
    """What links told of the files behind them, for the ``LINKS_MAX_COUNT`` that were met last."""

    def __init__(self) -> None:
        self._told: OrderedDict[str, Meta] = OrderedDict()

    def resolve(self, path: str) -> str:
        """The file behind a link to a container's log; any other path as it is."""
        if not _is_container(path) or not os.path.islink(path):  # noqa: PTH114 - asked for every file
            return path
        told: Meta = {}
        at = path
        for _ in range(HOPS_MAX_COUNT):
            told = {**meta_of(at), **told}
            try:
                target = os.readlink(at)  # noqa: PTH115 - as above
            except OSError:
                break
            at = os.path.normpath(os.path.join(os.path.dirname(at), target))  # noqa: PTH118, PTH120 - as above
        real = os.path.realpath(path)
        self._told[_place(real)] = told
        self._told.move_to_end(_place(real))
        while len(self._told) > LINKS_MAX_COUNT:
            self._told.popitem(last=False)
        return real

    def meta(self, path: str) -> Meta:
        """What the path tells, and what links to it told."""
        return {**self._told.get(_place(path), {}), **meta_of(path)} if _is_container(path) else {}


def _is_container(path: str) -> bool:
    # Asked for every file at every look: of most what each of the forms must hold tells at once.
    if path.count("_") < 2 and "-json.log" not in path:
        return False
    return any(form.search(path) is not None for form in (_pod, _link, _docker))


def _place(path: str) -> str:
    """The path without what a rotation adds."""
    return path[: path.rfind(".log") + 4]


LINKS = Links()
"""Of this process: a file is resolved when it is found, and asked for when it is read."""
