"""The node: containerd, kubelet, kube-proxy and the pods' network. Nothing is started here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .control_plane import options
from .images import PAUSE
from .place import NODE, State, write

CNI_PLUGINS = "/usr/lib/cni"
"""Where Debian's package containernetworking-plugins puts them."""
SOCKET = "/run/containerd/containerd.sock"
"""Inside the cluster's namespaces, where /run is the cluster's own."""


def write_settings(state: State) -> None:
    """Write the files that the node's programs read."""
    settings = state.place.settings
    (settings / "cni").mkdir(exist_ok=True)
    write(settings / "cni" / "10-pods.conflist", json.dumps(_pod_network(state), indent=1))
    write(settings / "containerd.toml", _containerd(state))
    write(settings / "kubelet.json", json.dumps(_kubelet(state), indent=1))
    write(settings / "kube-proxy.json", json.dumps(_kube_proxy(state), indent=1))
    write(settings / "resolv.conf", "")  # nobody beyond the cluster answers


def commands(state: State, programs: Mapping[str, Path]) -> dict[str, list[str]]:
    """Each program of the node by its name, in the order to start them."""
    place = state.place
    kubelet = {
        "config": place.settings / "kubelet.json",
        "kubeconfig": place.kubeconfig_of("kubelet"),
        "root-dir": place.folder / "kubelet",
        "hostname-override": NODE,
        "node-ip": state.addresses.node,
    }
    fake_nodes = {
        "kubeconfig": place.kubeconfig,
        "manage-all-nodes": False,
        "manage-nodes-with-annotation-selector": "kwok.x-k8s.io/node=fake",
        "node-lease-duration-seconds": 40,
        "cidr": "10.0.0.1/24",  # of pods that do not exist: nobody is asked for them
        "server-address": "127.0.0.1:10247",
    }
    return {
        "containerd": ["containerd", "--config", str(place.settings / "containerd.toml")],
        "kubelet": [str(programs["kubelet"]), *options(kubelet)],
        "kube-proxy": [str(programs["kube-proxy"]), f"--config={place.settings / 'kube-proxy.json'}"],
        "kwok": [str(programs["kwok"]), *options(fake_nodes)],
    }


def _pod_network(state: State) -> dict[str, object]:
    """Each pod has a link of its own to the node, so that all it sends passes the rules for services."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,  # this machine has a route to the pods
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": str(state.addresses.pods)}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "dataDir": "/run/cni",
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(state: State) -> str:
    folder = state.place.folder / "containerd"
    return f"""version = 2
root = "{folder}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
# a machine without CAP_SYS_RESOURCE cannot lower it; without this every pod fails there
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{state.place.settings / "cni"}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
"""


def _kubelet(state: State) -> dict[str, object]:
    place = state.place
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(place.certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(place.certificates / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(place.certificates / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDomain": "cluster.local",
        "clusterDNS": [str(state.addresses.dns)],
        "resolvConf": str(place.settings / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "volumePluginDir": str(place.folder / "kubelet-plugins"),
        "podLogsDir": "/var/log/pods",
        "maxPods": 250,
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,  # never: nothing could be pulled again
        # a machine that is nearly full is the machine's problem, not a reason to evict what is tested
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "shutdownGracePeriod": "0s",
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "30s",
        "volumeStatsAggPeriod": "2s",  # else a minute passes until a full scratch space is noticed
    }


def _kube_proxy(state: State) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(state.place.kubeconfig_of("proxy"))},
        "hostnameOverride": NODE,
        "mode": "iptables",
        "clusterCIDR": str(state.addresses.pods),
        "conntrack": {"maxPerCore": 0, "min": 0},  # the machine's limits stay as they are
        "iptables": {"minSyncPeriod": "100ms"},
    }
