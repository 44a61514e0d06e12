"""The control plane: which programs, with which options. Nothing is started here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from .place import State, write

AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""Who asked for what: tests count the API server's requests by client. No bodies, so no secret is in it."""


def write_settings(state: State) -> None:
    """Write the files that the control plane reads."""
    write(state.place.settings / "audit.json", json.dumps(AUDIT))


def servers(state: State, programs: Mapping[str, Path]) -> dict[str, list[str]]:
    """The database and the API server, in the order to start them."""
    return {
        "etcd": [str(programs["etcd"]), *options(_etcd(state))],
        "kube-apiserver": [str(programs["kube-apiserver"]), *options(_api_server(state))],
    }


def controllers(state: State, programs: Mapping[str, Path]) -> dict[str, list[str]]:
    """What needs an API server that is ready: they end when their roles are not there yet."""
    return {
        "kube-controller-manager": [str(programs["kube-controller-manager"]), *options(_controller_manager(state))],
        "kube-scheduler": [str(programs["kube-scheduler"]), *options(_scheduler(state))],
    }


def options(values: Mapping[str, object]) -> Iterator[str]:
    """``--name=value`` for each, in the order given."""
    for name, value in values.items():
        yield f"--{name}={str(value).lower() if isinstance(value, bool) else value}"


def _etcd(state: State) -> dict[str, object]:
    return {
        "data-dir": state.place.folder / "etcd",
        "listen-client-urls": "http://127.0.0.1:2379",
        "advertise-client-urls": "http://127.0.0.1:2379",
        "listen-peer-urls": "http://127.0.0.1:2380",
        "unsafe-no-fsync": True,  # a test cluster that loses power is made anew
        "log-level": "warn",
    }


def _api_server(state: State) -> dict[str, object]:
    place, addresses = state.place, state.addresses
    keys = place.certificates
    return {
        "etcd-servers": "http://127.0.0.1:2379",
        "advertise-address": addresses.node,
        "secure-port": 6443,
        "service-cluster-ip-range": addresses.services,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": True,  # as clusters do: the namespaces' Pod Security decides
        "anonymous-auth": False,
        "client-ca-file": keys / "ca.crt",
        "tls-cert-file": keys / "apiserver.crt",
        "tls-private-key-file": keys / "apiserver.key",
        "kubelet-certificate-authority": keys / "ca.crt",
        "kubelet-client-certificate": keys / "apiserver-kubelet-client.crt",
        "kubelet-client-key": keys / "apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",  # nobody resolves the node's name
        "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
        "service-account-key-file": keys / "service-accounts.pub",
        "service-account-signing-key-file": keys / "service-accounts.key",
        # Kueue's visibility API and webhooks are reached by the addresses of its pods
        "enable-aggregator-routing": True,
        "requestheader-client-ca-file": keys / "front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "proxy-client-cert-file": keys / "front-proxy-client.crt",
        "proxy-client-key-file": keys / "front-proxy-client.key",
        "audit-policy-file": place.settings / "audit.json",
        "audit-log-path": place.logs / "audit.log",
        "audit-log-maxsize": 200,  # MiB
        "audit-log-maxbackup": 1,
    }


def _controller_manager(state: State) -> dict[str, object]:
    place = state.place
    return {
        **_client(place.kubeconfig_of("controller-manager")),
        "kube-api-qps": 300,  # the default of 20 makes a thousand pods crawl
        "kube-api-burst": 500,
        "use-service-account-credentials": True,
        "service-account-private-key-file": place.certificates / "service-accounts.key",
        "root-ca-file": place.certificates / "ca.crt",
        "cluster-signing-cert-file": place.certificates / "ca.crt",
        "cluster-signing-key-file": place.certificates / "ca.key",
    }


def _scheduler(state: State) -> dict[str, object]:
    return _client(state.place.kubeconfig_of("scheduler")) | {"kube-api-qps": 300, "kube-api-burst": 500}


def _client(kubeconfig: Path) -> dict[str, object]:
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": "127.0.0.1",
        "leader-elect": False,  # there is one of each
    }
