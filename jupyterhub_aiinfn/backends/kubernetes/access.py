"""What hub and platform service may do on the cluster, and what sessions reach on its network, as manifests.

No running process may write the queues of Kueue, change a claim, or read a token of a service account.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyterhub_aiinfn.values.kubernetes import Kubernetes, Opening

from .names import PREFIX

Manifest = dict[str, Any]
READ = ("get", "list", "watch")
NAMESPACE = "kubernetes.io/metadata.name"
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")
"""Networks that the internet is not: of the site, of the cluster, and of the machines' own metadata."""
PRIVATE_6 = ("fc00::/7", "fe80::/10")


def rule(groups: str, resources: tuple[str, ...], verbs: tuple[str, ...]) -> Manifest:
    """One rule of a role."""
    return {"apiGroups": [groups], "resources": list(resources), "verbs": list(verbs)}


def access_manifests(cluster: Kubernetes) -> list[Manifest]:
    """The service's account, and roles and bindings of the two; the hub's account is made by the JupyterHub chart."""
    account = {"name": cluster.service_account, "namespace": cluster.namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        *_role(cluster, cluster.hub_account, cluster.sessions_namespace, _hub_on_sessions(cluster)),
        *_role(cluster, cluster.service_account, cluster.sessions_namespace, _service_on_sessions(cluster)),
        *_role(cluster, cluster.service_account, cluster.jobs_namespace, _service_on_jobs(cluster)),
        *_cluster_role(cluster),
    ]


def _hub_on_sessions(cluster: Kubernetes) -> list[Manifest]:
    """Start and stop pods, with their Secrets and homes.

    Pods are patched with why, before they are deleted; Secrets are listed to sweep what a killed start left; claims of
    homes are never changed or deleted.
    """
    rules = [
        rule("", ("pods",), (*READ, "create", "patch", "delete")),
        rule("", ("pods/log",), ("get",)),
        rule("", ("events",), READ),
        rule("", ("secrets",), ("list", "create", "patch", "delete")),
        rule("", ("persistentvolumeclaims",), (*READ, "create")),
    ]
    if cluster.kueue is not None:
        rules.append(rule("kueue.x-k8s.io", ("workloads",), (*READ, "create", "delete")))
        rules.append(rule("visibility.kueue.x-k8s.io", ("localqueues/pendingworkloads",), ("get",)))
    return rules


def _service_on_sessions(cluster: Kubernetes) -> list[Manifest]:
    """See what runs, write how long it may last, and end it; hold devices, which is a Job where sessions are."""
    rules = [
        rule("", ("pods",), (*READ, "patch", "delete")),
        rule("batch", ("jobs",), (*READ, "create", "patch", "delete")),
        rule("", ("pods/log",), ("get",)),
        rule("", ("events",), READ),
    ]
    if cluster.kueue is not None:
        rules.append(rule("kueue.x-k8s.io", ("workloads",), (*READ, "delete")))
        rules.append(rule("visibility.kueue.x-k8s.io", ("localqueues/pendingworkloads",), ("get",)))
    return rules


def _service_on_jobs(cluster: Kubernetes) -> list[Manifest]:
    """Jobs, with their Secrets; patched, because their finalizers go when they are in the ledger."""
    rules = [
        rule("batch", ("jobs",), (*READ, "create", "patch", "delete")),
        rule("", ("pods",), READ),
        rule("", ("pods/log",), ("get",)),
        rule("", ("events",), READ),
        rule("", ("secrets",), ("list", "create", "patch", "delete")),
    ]
    if cluster.kueue is not None:
        rules.append(rule("kueue.x-k8s.io", ("workloads",), READ))
    return rules


def _role(cluster: Kubernetes, account: str, namespace: str, rules: list[Manifest]) -> Iterator[Manifest]:
    name = f"{PREFIX}-{'hub' if account == cluster.hub_account else 'service'}"
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name, "namespace": namespace}}
    yield {**head, "kind": "Role", "rules": rules}
    yield {**head, "kind": "RoleBinding", **_binding(cluster, account, "Role", name)}


def _cluster_role(cluster: Kubernetes) -> Iterator[Manifest]:
    """What belongs to the whole cluster is only read, by the service."""
    name = f"{PREFIX}-service"
    rules = [rule("", ("nodes",), READ)]
    if cluster.counts_others:
        rules.append(rule("", ("pods",), ("list", "watch")))
    if cluster.kueue is not None:
        rules.append(rule("kueue.x-k8s.io", ("clusterqueues", "cohorts", "resourceflavors", "localqueues"), READ))
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    yield {**head, "kind": "ClusterRole", "rules": rules}
    yield {**head, "kind": "ClusterRoleBinding", **_binding(cluster, cluster.service_account, "ClusterRole", name)}


def _binding(cluster: Kubernetes, account: str, kind: str, name: str) -> Manifest:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": cluster.namespace}],
    }


def network_manifests(cluster: Kubernetes) -> list[Manifest]:
    """Network policies: sessions and jobs reach the platform, DNS, the internet and what the values open."""
    sessions, jobs = cluster.sessions_namespace, cluster.jobs_namespace
    port = [{"protocol": "TCP", "port": cluster.sessions.port}]
    from_platform = {"ingress": [{"from": [_namespace(cluster.namespace)], "ports": port}]}
    return [
        *(_policy(namespace, "nothing", {"policyTypes": ["Ingress", "Egress"]}) for namespace in (sessions, jobs)),
        _policy(sessions, "from-platform", {"policyTypes": ["Ingress"], **from_platform}),
        *(
            _policy(namespace, "outwards", {"policyTypes": ["Egress"], "egress": list(_egress(cluster))})
            for namespace in (sessions, jobs)
        ),
    ]


def _egress(cluster: Kubernetes) -> Iterator[Manifest]:
    network = cluster.network
    yield {
        "to": [_namespace(network.dns_namespace)],
        "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")],
    }
    ports = [{"protocol": "TCP", "port": port} for port in (network.hub_port, network.service_port)]
    yield {"to": [_namespace(cluster.namespace)], "ports": ports}
    yield {
        "to": [
            {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}},
            {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_6)}},
        ]
    }
    yield from map(_opened, network.open_to)


def _opened(opening: Opening) -> Manifest:
    found: Manifest = {"to": [{"ipBlock": {"cidr": opening.to}}]}
    if opening.ports:
        found["ports"] = [{"protocol": "TCP", "port": port} for port in opening.ports]
    return found


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE: name}}}


def _policy(namespace: str, name: str, spec: Manifest) -> Manifest:
    head = {"name": f"{PREFIX}-{name}", "namespace": namespace}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": head,
        "spec": {"podSelector": {}, **spec},
    }
