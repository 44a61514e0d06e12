"""A real Kubernetes cluster of one node on this machine for the tests: `python -m tests.tools.cluster up|down|status`.

All of it (control plane, containerd, kubelet, every pod) lives in one set of namespaces of the kernel (processes,
mounts, network) under one first process: when that one ends, the kernel ends all the others, takes every mount away and
deletes every interface and packet filter rule. This machine itself gets one virtual interface and one route.
"""
