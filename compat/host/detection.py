"""Which kind of host this is, for ``--host auto`` (B194, B257, B264, B265)."""
from __future__ import annotations

import os
from typing import Mapping

SYSTEMD, OPENRC, RUNIT, S6, SYSVINIT, CONTAINER, NONE = "systemd", "openrc", "runit", "s6", "sysvinit", "container", "none"
#: Inits that are watched by their files.
OTHER_INITS = (OPENRC, RUNIT, S6, SYSVINIT)
KINDS = (SYSTEMD, *OTHER_INITS, CONTAINER, NONE)
AUTO = "auto"


def host_kind(pid1: bool, environment: Mapping[str, str], root: str = "/") -> str:
    """The kind. An init is there when its files say so; else a container is one that we are the init of, or that has a mark.

    Supervisors as runit are used inside of containers too, where they are no init of a host.
    """
    if pid1:
        return CONTAINER
    if os.path.isdir(os.path.join(root, "run/systemd/system")):
        return SYSTEMD
    if os.path.exists(os.path.join(root, "run/openrc/softlevel")):
        return OPENRC
    if container_type(environment, root):
        return CONTAINER
    if os.path.isdir(os.path.join(root, "run/runit")):
        return RUNIT
    # Where s6-linux-init has its services.
    if os.path.isdir(os.path.join(root, "run/service/.s6-svscan")):
        return S6
    if any(os.path.exists(os.path.join(root, pipe)) for pipe in ("run/initctl", "dev/initctl")):
        return SYSVINIT
    return NONE


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
