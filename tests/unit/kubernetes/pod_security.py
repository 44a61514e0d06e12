"""The profile "restricted" of the Pod Security Standards (Kubernetes 1.34), as a list of what a pod breaks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
SAFE_SYSCTLS = {"net.ipv4.ip_local_port_range", "net.ipv4.ping_group_range", "kernel.shm_rmid_forced"}


def broken_rules(spec: dict[str, Any]) -> list[str]:
    """Every rule that the specification of a pod breaks."""
    return [*_pod(spec), *(rule for one in containers(spec) for rule in _container(spec, one))]


def containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [one for kind in kinds for one in spec.get(kind, [])]


def _pod(spec: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", []):
        kinds = set(volume) - {"name"}
        if not kinds or not kinds <= VOLUMES:
            yield f"volume type {kinds}"
    security = spec.get("securityContext", {})
    if security.get("runAsUser") == 0:
        yield "runAsUser of the pod"
    if any(one["name"] not in SAFE_SYSCTLS for one in security.get("sysctls", [])):
        yield "sysctls"
    if security.get("seccompProfile", {}).get("type") == "Unconfined":
        yield "seccomp of the pod"
    if security.get("windowsOptions") or security.get("seLinuxOptions") or security.get("appArmorProfile"):
        yield "options of the pod that are not looked at here"


def _container(spec: dict[str, Any], one: dict[str, Any]) -> Iterator[str]:
    pod, own, name = spec.get("securityContext", {}), one.get("securityContext", {}), one["name"]
    if own.get("privileged"):
        yield f"{name}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser")) == 0:
        yield f"{name}: runAsUser"
    seccomp = own.get("seccompProfile", pod.get("seccompProfile", {}))
    if seccomp.get("type") not in ("RuntimeDefault", "Localhost"):
        yield f"{name}: seccomp"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities"
    yield from _rest(one, own, name)


def _rest(one: dict[str, Any], own: dict[str, Any], name: str) -> Iterator[str]:
    if own.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    if any(port.get("hostPort") for port in one.get("ports", [])):
        yield f"{name}: hostPort"
    for handler in _handlers(one):
        if handler.get("host"):
            yield f"{name}: host of a probe"


def _handlers(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    probes = [one.get(kind, {}) for kind in ("livenessProbe", "readinessProbe", "startupProbe")]
    probes += list(one.get("lifecycle", {}).values())
    for probe in probes:
        yield probe.get("httpGet", {})
        yield probe.get("tcpSocket", {})
