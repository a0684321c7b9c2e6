"""Which kind of host this is, for ``--host auto`` (B194, B257)."""
from __future__ import annotations

import os
from typing import Mapping

SYSTEMD, CONTAINER, NONE = "systemd", "container", "none"
KINDS = (SYSTEMD, CONTAINER, NONE)
AUTO = "auto"


def host_kind(pid1: bool, environment: Mapping[str, str], root: str = "/") -> str:
    """The kind. systemd is there when it says so itself; else a container is one that we are the init of, or that has a mark."""
    if not pid1 and os.path.isdir(os.path.join(root, "run/systemd/system")):
        return SYSTEMD
    return CONTAINER if pid1 or container_type(environment, root) else NONE


def container_type(environment: Mapping[str, str], root: str = "/") -> str:
    """What the ``container`` event calls this container; "" outside of one (B258)."""
    if environment.get("container"):
        return environment["container"]
    try:
        with open(os.path.join(root, "run/systemd/container"), encoding="utf-8", errors="replace") as file:
            noted = file.read().strip()
        if noted:
            return noted
    except OSError:
        pass
    for mark, name in (("run/.containerenv", "podman"), (".dockerenv", "docker"),
                       ("var/run/secrets/kubernetes.io", "kubernetes"), ("dev/lxd", "lxc"), ("dev/.lxc", "lxc")):
        if os.path.exists(os.path.join(root, mark)):
            return name
    if environment.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if os.path.isdir(os.path.join(root, "proc/vz")) and not os.path.isdir(os.path.join(root, "proc/bc")):
        return "openvz"
    return ""
