"""Everything that is applied to a cluster: rights as narrow as they are meant, networks, and the order of it all."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.kubernetes.chart import chart_values
from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
from jupyterhub_aiinfn.backends.kubernetes.manifests import session_pod
from jupyterhub_aiinfn.values import Values

from .farms import DATA, farm, values_of
from .test_manifests import a_request

Manifest = dict[str, Any]


# Rights


def rules(role: str, namespace: str | None, values: Values | None = None) -> dict[tuple[str, str], set[str]]:
    """Verbs by group and resource."""
    manifests, _ = installation_manifests(values or farm(), None)
    kind = "Role" if namespace else "ClusterRole"
    (found,) = [
        one
        for one in manifests
        if one["kind"] == kind and one["metadata"]["name"] == role and one["metadata"].get("namespace") == namespace
    ]
    return {
        (group, resource): set(rule["verbs"])
        for rule in found["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


CHANGES = {"create", "update", "patch", "delete", "deletecollection"}


def test_no_process_may_change_a_queue_or_a_home_or_anything_of_the_whole_cluster() -> None:
    manifests, _ = installation_manifests(farm(), None)
    roles = [one for one in manifests if one["kind"] in ("Role", "ClusterRole")]
    assert len(roles) == 4
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]
            queues = {"clusterqueues", "localqueues", "cohorts", "resourceflavors"} & set(rule["resources"])
            if queues or role["kind"] == "ClusterRole":
                assert not CHANGES & set(rule["verbs"])
            if "persistentvolumeclaims" in rule["resources"]:
                assert CHANGES & set(rule["verbs"]) == {"create"}
            assert not {"serviceaccounts/token", "pods/exec", "pods/attach", "roles"} & set(rule["resources"])


def test_the_service_reads_no_secret_of_a_session() -> None:
    assert ("", "secrets") not in rules("aiinfn-service", "aiinfn-sessions")
    assert "get" not in rules("aiinfn-hub", "aiinfn-sessions")["", "secrets"]
    assert rules("aiinfn-service", None)["", "nodes"] == {"get", "list", "watch"}


def test_pods_of_others_are_listed_by_the_service_only_where_the_values_count_them() -> None:
    assert rules("aiinfn-service", None)["", "pods"] == {"list", "watch"}
    data = copy.deepcopy(DATA)
    data["kubernetes"]["counts_others"] = False
    assert ("", "pods") not in rules("aiinfn-service", None, values_of(data))


def test_the_hub_may_nothing_where_jobs_are() -> None:
    manifests, _ = installation_manifests(farm(), None)
    bindings = [one for one in manifests if one["kind"].endswith("Binding")]
    of_hub = [one for one in bindings if one["subjects"][0]["name"] == "hub"]
    assert [one["metadata"].get("namespace") for one in of_hub] == ["aiinfn-sessions"]


def test_who_gets_rights_has_an_account_from_the_manifests_or_from_the_chart() -> None:
    values = farm()
    manifests, _ = installation_manifests(values, None)
    made = [one["metadata"] for one in manifests if one["kind"] == "ServiceAccount"]
    accounts = {(one["namespace"], one["name"]) for one in made}
    assert accounts == {("aiinfn", "aiinfn-service")}
    of_chart = chart_values(values, None)["hub"]["serviceAccount"]
    assert of_chart["create"] is True
    accounts.add(("aiinfn", of_chart["name"]))
    bound = [one["subjects"] for one in manifests if one["kind"].endswith("Binding")]
    assert {(one["namespace"], one["name"]) for subjects in bound for one in subjects} == accounts
    roles = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests}
    for one in manifests:
        if one["kind"].endswith("Binding"):
            reference = one["roleRef"]
            assert (reference["kind"], one["metadata"].get("namespace"), reference["name"]) in roles


# Network


def policies() -> dict[tuple[str, str], Manifest]:
    manifests, _ = installation_manifests(farm(), None)
    found = [one for one in manifests if one["kind"] == "NetworkPolicy"]
    return {(one["metadata"]["namespace"], one["metadata"]["name"]): one["spec"] for one in found}


def test_only_the_platform_reaches_a_session_and_nobody_a_job() -> None:
    found = policies()
    for namespace in ("aiinfn-sessions", "aiinfn-jobs"):
        assert found[namespace, "aiinfn-nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    opened = {key: spec["ingress"] for key, spec in found.items() if "ingress" in spec}
    assert opened == {
        ("aiinfn-sessions", "aiinfn-from-platform"): [
            {
                "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "aiinfn"}}}],
                "ports": [{"protocol": "TCP", "port": 8888}],
            }
        ]
    }


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "192.168.1.1", "172.31.0.1", "169.254.169.254", "100.64.0.1", "fd00::1"]
)
def test_private_addresses_are_out_of_reach(address: str) -> None:
    wanted = ipaddress.ip_address(address)
    for namespace in ("aiinfn-sessions", "aiinfn-jobs"):
        for rule in policies()[namespace, "aiinfn-outwards"]["egress"]:
            for target in rule["to"]:
                block = target.get("ipBlock", {"cidr": "0.0.0.0/32"})
                inside = wanted in ipaddress.ip_network(block["cidr"])
                kept_out = any(wanted in ipaddress.ip_network(one) for one in block.get("except", []))
                assert not inside or kept_out


def test_what_the_values_open_is_open() -> None:
    for namespace in ("aiinfn-sessions", "aiinfn-jobs"):
        assert {
            "to": [{"ipBlock": {"cidr": "10.20.0.0/16"}}],
            "ports": [{"protocol": "TCP", "port": 1094}],
        } in policies()[namespace, "aiinfn-outwards"]["egress"]


# Everything together


@pytest.mark.parametrize("home", ["nfs", "shared-claim", "claims"])
@pytest.mark.parametrize("kueue", [True, False])
def test_everything_can_be_applied_in_its_order(home: str, kueue: bool) -> None:
    values = farm(home, kueue)
    manifests, _ = installation_manifests(values, None)
    kinds = [one["kind"] for one in manifests]
    assert kinds[:2] == ["Namespace", "Namespace"]
    for one in manifests[:2]:
        assert one["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert ("ClusterQueue" in kinds) is kueue
    assert ("PriorityClass" in kinds) is not kueue
    heads = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in manifests]
    assert len(set(heads)) == len(heads)
    claims = {one["metadata"]["name"] for one in manifests if one["kind"] == "PersistentVolumeClaim"}
    pod = session_pod(values, a_request(values))["spec"]
    used = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    assert {name for name in used if name.startswith("aiinfn-nfs")} == claims
    for one in manifests:
        if one["kind"] == "PersistentVolume":
            assert one["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    if not kueue:
        classes = {one["metadata"]["name"]: one["value"] for one in manifests if one["kind"] == "PriorityClass"}
        assert classes[pod["priorityClassName"]] > classes["aiinfn-batch"]
