"""Parts of this checkout's own cluster that are away for a while, as a fault would take them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .people import until


@contextmanager
def api_server_away(own: Cluster, seconds: float) -> Iterator[None]:
    """No API server for so many seconds at least; it answers afterwards.

    The cluster's own parts look for it ever more rarely, in the end once a minute: they are started anew, which harms
    no pod, so that what is tested is how long the platform takes.
    """
    own.kill("kube-apiserver")
    begun = time.monotonic()
    try:
        yield
        time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    finally:
        own.start("kube-apiserver")
        until(own.client.answers)
        for part in ("kube-controller-manager", "kube-scheduler", "kubelet"):
            own.kill(part)
            own.start(part)


@contextmanager
def kueue_away(client: Client) -> Iterator[None]:
    """Kueue's controller does not run, and its webhook does not answer."""
    where = ("--namespace", "kueue-system", "deployment/kueue-controller-manager")
    client("scale", "--replicas=0", *where)
    client("wait", "--for=delete", "pods", "--all", "--namespace", "kueue-system", "--timeout=60s")
    try:
        yield
    finally:
        client("scale", "--replicas=1", *where)
        client("rollout", "status", "--watch", "--timeout=120s", *where)
