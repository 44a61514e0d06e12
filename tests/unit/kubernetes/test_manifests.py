"""Pods, Jobs and Secrets of any workload: valid, restricted, without secrets, and what they promise."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes import manifests, names
from jupyterhub_aiinfn.backends.kubernetes.manifests import PodRequest, home_claim, job, secret, session_pod
from jupyterhub_aiinfn.backends.kubernetes.secrecy import literal_secrets, require_no_secret
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.numbers import Numbers
from jupyterhub_aiinfn.values import Values

from .farms import FARMS, farm, numbers, requests
from .pod_security import broken_rules, containers

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"[1-9][0-9]*(m|Mi)?")
TOKEN = "tok-7c1f9be2d4a0"
NOW = "2026-11-25T10:00:00Z"


def made(values: Values, request: PodRequest) -> dict[str, Any]:
    return session_pod(values, request) if request.spec.kind is WorkloadKind.session else job(values, request)


def pod_spec(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"] if manifest["kind"] == "Job" else manifest["spec"]
    return found


def main_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return next(one for one in pod_spec(manifest)["containers"] if one["name"] == names.MAIN)


def a_session(**changes: Any) -> WorkloadSpec:
    known: dict[str, Any] = {
        "kind": WorkloadKind.session,
        "name": "gpu of alice",
        "command": ("jupyterhub-singleuser",),
        "cores": 4.0,
        "memory_gib": 16.0,
        "guaranteed_cores": 1.0,
        "guaranteed_memory_gib": 8.0,
        "person": "alice",
        "server_name": "",
        "project": "lhcb-flashsim",
        "profile": "gpu",
        "size": "small",
        "image": "gpu",
        "folders": ("lhcb-flashsim",),
        "public": True,
    }
    return WorkloadSpec(**(known | changes))


def a_request(values: Values, groups: frozenset[str] = frozenset(), **changes: Any) -> PodRequest:
    spec = a_session(**changes)
    return PodRequest(spec, numbers(values, spec), groups, {"JUPYTERHUB_API_TOKEN": TOKEN}, spec.project)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(requests())
def test_every_pod_is_restricted_and_valid(drawn: tuple[Values, PodRequest]) -> None:
    values, request = drawn
    manifest = made(values, request)
    spec = pod_spec(manifest)
    assert broken_rules(spec) == []
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"
    assert DNS_LABEL.fullmatch(manifest["metadata"]["name"])
    heads = [manifest["metadata"], manifest["spec"].get("template", {}).get("metadata", {})]
    for value in (value for head in heads for value in head.get("labels", {}).values()):
        assert LABEL_VALUE.fullmatch(value), value
    volume_names = [volume["name"] for volume in spec["volumes"]]
    assert len(set(volume_names)) == len(volume_names)
    for container in containers(spec):
        assert DNS_LABEL.fullmatch(container["name"])
        mounts = container.get("volumeMounts", [])
        assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
        for mount in mounts:
            assert mount["name"] in volume_names
            assert ":" not in mount["mountPath"]
            folder = mount.get("subPath", "ok")
            assert folder not in (".", "..")
            assert "/" not in folder
        limits, kept = container["resources"]["limits"], container["resources"]["requests"]
        assert set(limits) == set(kept)
        assert all(QUANTITY.fullmatch(text) for text in [*limits.values(), *kept.values()])
    assert all(DNS_LABEL.fullmatch(name) for name in volume_names)
    assert json.loads(json.dumps(manifest)) == manifest


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(requests())
def test_no_manifest_but_the_secret_holds_a_secret(drawn: tuple[Values, PodRequest]) -> None:
    values, request = drawn
    manifest, kept = made(values, request), secret(values, request)
    assert TOKEN not in json.dumps(manifest)
    assert literal_secrets(manifest, [TOKEN]) == []
    assert kept["stringData"] == request.secrets
    references = {
        one["name"]: one["valueFrom"]["secretKeyRef"] for one in main_of(manifest)["env"] if "valueFrom" in one
    }
    assert references == {name: {"name": kept["metadata"]["name"], "key": name} for name in request.secrets}
    variables = [one["name"] for one in main_of(manifest)["env"]]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("hidden", [TOKEN, f"a {TOKEN} b", base64.b64encode(TOKEN.encode()).decode()])
@pytest.mark.parametrize(
    ("place", "path"),
    [
        (lambda text: {"spec": {"containers": [{"env": [{"value": text}]}]}}, "spec.containers[0].env[0].value"),
        (lambda text: {"metadata": {"annotations": {text: "x"}}}, "…"),
        (lambda text: {"metadata": {"name": ("x", text)}}, "metadata.name[1]"),
    ],
)
def test_a_literal_secret_is_found_wherever_it_is_and_not_repeated(hidden: str, place: Any, path: str) -> None:
    manifest = {"kind": "Pod", **place(hidden)}
    assert literal_secrets(manifest, [TOKEN]) == [path]
    with pytest.raises(BackendError, match="was not made") as caught:
        require_no_secret(manifest, [TOKEN])
    assert TOKEN not in str(caught.value)
    assert base64.b64encode(TOKEN.encode()).decode() not in str(caught.value)
    require_no_secret({**manifest, "kind": "Secret"}, [TOKEN])
    require_no_secret(manifest, ["", "x"])


def test_a_secret_that_is_put_into_a_public_variable_is_never_sent() -> None:
    values = farm()
    request = a_request(values, environment={"LEAK": f"--token={TOKEN}"})
    with pytest.raises(BackendError, match=r"a secret stands in spec.containers\[0\].env\[\d+\].value of the Pod"):
        session_pod(values, request)
    with pytest.raises(BackendError, match=r"a secret stands in spec.template.spec.containers"):
        job(values, replace(request, spec=replace(request.spec, kind=WorkloadKind.job)))
    assert TOKEN not in repr(a_request(values))


# What is promised


def test_a_device_is_required_never_preferred() -> None:
    values = farm()
    pod = session_pod(values, a_request(values, accelerator="t4", accelerator_count=2))
    assert pod["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-T4"}
    resources = main_of(pod)["resources"]
    assert resources["limits"] == {"cpu": "4000m", "memory": "16384Mi", "nvidia.com/gpu": "2"}
    assert resources["requests"] == {"cpu": "1000m", "memory": "8192Mi", "nvidia.com/gpu": "2"}
    assert "NVIDIA_VISIBLE_DEVICES" not in {one["name"] for one in main_of(pod)["env"]}


def test_a_session_without_a_card_sees_none() -> None:
    values = farm()
    for accelerator in (None, "u55c"):
        pod = session_pod(values, a_request(values, accelerator=accelerator, accelerator_count=bool(accelerator)))
        assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in main_of(pod)["env"]


@pytest.mark.parametrize("accelerator", ["h100", None])
def test_what_is_not_in_the_catalogue_is_a_sentence(accelerator: str | None) -> None:
    values = farm()
    if accelerator is None:
        with pytest.raises(BackendError, match='0 of "t4" were asked for'):
            session_pod(values, a_request(values, accelerator="t4", accelerator_count=0))
    else:
        with pytest.raises(BackendError, match='the accelerator "h100" is not in the catalogue; ask an administrator'):
            session_pod(values, a_request(values, accelerator=accelerator, accelerator_count=1))


@pytest.mark.parametrize("image", ["registry.example.org/evil:latest", "python2", None])
def test_only_images_of_the_values_run(image: str | None) -> None:
    values = farm()
    with pytest.raises(BackendError, match="there is no container image"):
        session_pod(values, a_request(values, image=image))


def test_only_members_tolerate_what_is_reserved_for_them() -> None:
    values = farm()
    member = session_pod(values, a_request(values, frozenset({"lhcb-flashsim"})))["spec"]
    assert member["tolerations"] == [
        {"key": "reserved", "operator": "Equal", "value": "lhcb-flashsim", "effect": effect}
        for effect in ("NoSchedule", "PreferNoSchedule")
    ]
    assert "tolerations" not in session_pod(values, a_request(values, frozenset({"quantum-lab", "lhcb"})))["spec"]


def score(pod: dict[str, Any], labels: dict[str, str]) -> int:
    """What the scheduler's node affinity gives a node."""
    found = pod["spec"]["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    operators = {"In": lambda have, values: have in values, "NotIn": lambda have, values: have not in values}

    def fits(term: dict[str, Any]) -> bool:
        expressions = term["preference"]["matchExpressions"]
        return all(operators[one["operator"]](labels.get(one["key"]), one["values"]) for one in expressions)

    return sum(term["weight"] for term in found if fits(term))


def test_a_session_without_a_device_prefers_nodes_without_and_then_the_least_valuable() -> None:
    values = farm()
    pod = session_pod(values, a_request(values, frozenset({"lhcb-flashsim"})))
    products = {key: entry.node_selector for key, entry in values.accelerators.items()}
    nodes = {"none": {}, **{key: products[key] for key in ("t4", "rtx5000", "a100")}}
    order = sorted(nodes, key=lambda key: -score(pod, {"kubernetes.io/os": "linux", **nodes[key]}))
    assert order == ["none", "t4", "rtx5000", "a100"]
    assert values.accelerators["t4"].preference_weight > values.accelerators["a100"].preference_weight


def test_members_take_a_device_of_their_own_nodes_first() -> None:
    values = farm()
    own, other = {"aiinfn/node": "gpu4"}, {"aiinfn/node": "gpu1"}
    device = {"accelerator": "a100-1g", "accelerator_count": 1}
    member = session_pod(values, a_request(values, frozenset({"lhcb-flashsim"}), **device))
    assert score(member, own) > score(member, other)
    stranger = session_pod(values, a_request(values, **device))
    assert score(stranger, own) == score(stranger, other)
    without = session_pod(values, a_request(values, frozenset({"lhcb-flashsim"})))
    assert score(without, own) == score(without, other)


def test_sidecars_are_counted_and_never_keep_a_pod() -> None:
    values = farm()
    (agent,) = [
        one for one in session_pod(values, a_request(values))["spec"]["initContainers"] if "sidecar" in one["name"]
    ]
    assert agent["restartPolicy"] == "Always"
    assert agent["resources"]["requests"] == agent["resources"]["limits"] == {"cpu": "100m", "memory": "128Mi"}
    batch = job(values, a_request(values, kind=WorkloadKind.job, job_class=JobClass.batch))
    assert "sidecar-agent" not in {one["name"] for one in containers(pod_spec(batch))}


def test_the_devices_folder_of_shared_memory_is_no_larger_than_the_memory() -> None:
    values = farm()
    for gib, size in ((16.0, "2048Mi"), (0.5, "512Mi")):
        pod = session_pod(values, a_request(values, memory_gib=gib, guaranteed_memory_gib=None))
        (shm,) = [one for one in pod["spec"]["volumes"] if one["name"] == "shm"]
        assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": size}


def mounted(values: Values, **changes: Any) -> dict[str, tuple[str, str | None, bool]]:
    """Path in the pod: claim, folder of the claim, whether it is read only."""
    pod = session_pod(values, a_request(values, **changes))
    claims = {
        one["name"]: one["persistentVolumeClaim"]["claimName"]
        for one in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in one
    }
    found = [one for one in main_of(pod)["volumeMounts"] if one["name"] in claims]
    return {one["mountPath"]: (claims[one["name"]], one.get("subPath"), one.get("readOnly", False)) for one in found}


def test_homes_of_each_storage() -> None:
    nfs = mounted(farm("nfs"))
    assert nfs["/home/alice"] == ("aiinfn-nfs-home", "user-alice", False)
    assert nfs["/projects/lhcb-flashsim"] == ("aiinfn-nfs-home", "shared-lhcb-flashsim", False)
    assert nfs["/public"] == ("aiinfn-nfs-home", "public", True)
    shared = mounted(farm("shared-claim"))
    assert shared["/home/alice"] == ("homes", "user-alice", False)
    assert shared["/projects/lhcb-flashsim"] == ("homes", "shared-lhcb-flashsim", False)
    own = mounted(farm("claims"))
    assert own["/home/alice"] == ("home-alice", None, False)
    assert own["/projects/lhcb-flashsim"] == ("aiinfn-nfs-project", "shared-lhcb-flashsim", False)
    assert own["/public"][0] == "aiinfn-nfs-project"
    assert nfs["/cvmfs/lhcb.cern.ch"] == ("cvmfs", "lhcb.cern.ch", True)
    assert nfs["/buckets/datasets"] == ("s3-datasets", None, True)


@pytest.mark.parametrize("home", ["nfs", "shared-claim", "claims"])
def test_the_home_is_the_same_for_every_profile(home: str) -> None:
    values = farm(home)
    images = {key: profile.image for key, profile in values.profiles.items()}
    homes = {mounted(values, profile=key, image=image)["/home/alice"] for key, image in images.items()}
    assert len(homes) == 1


def test_a_session_begins_in_its_home_and_a_job_of_nobody_where_everybody_may_be() -> None:
    values = farm()
    assert main_of(session_pod(values, a_request(values)))["workingDir"] == "/home/alice"
    spec = a_session(kind=WorkloadKind.job, job_class=JobClass.platform, person=None, server_name=None, folders=())
    request = PodRequest(spec, manifests.PLATFORM, frozenset(), {}, None)
    assert main_of(job(values, request))["workingDir"] == "/"


def test_nobody_has_what_is_not_theirs() -> None:
    values = farm(buckets={"secret": {"claim": "s3", "for": ["staff"]}})
    found = mounted(values, folders=(), public=False)
    assert set(found) == {"/home/alice", "/cvmfs/lhcb.cern.ch", "/cvmfs/sft.cern.ch"}
    assert mounted(values, writes_public=True)["/public"][2] is False


def test_a_claim_of_ones_own_has_an_owner_and_is_never_owned() -> None:
    values = farm("claims")
    claim = home_claim(values, "Alice/../x")
    assert claim is not None
    assert "ownerReferences" not in claim["metadata"]
    assert DNS_LABEL.fullmatch(claim["metadata"]["name"])
    assert claim["spec"]["resources"]["requests"] == {"storage": "10240Mi"}
    assert home_claim(farm("nfs"), "alice") is None
    with_group = session_pod(values, a_request(values))["spec"]["securityContext"]
    assert with_group["fsGroup"] == with_group["runAsGroup"]
    # a shared folder must keep the group that it has: no volume of these pods is given away
    assert "fsGroup" not in session_pod(farm("nfs"), a_request(farm("nfs")))["spec"]["securityContext"]
    assert "fsGroup" not in session_pod(farm("shared-claim"), a_request(values))["spec"]["securityContext"]


def test_a_job_has_the_same_home_or_does_not_start() -> None:
    changes = {"kind": WorkloadKind.job, "job_class": JobClass.batch}
    for home in ("nfs", "shared-claim"):
        values = farm(home)
        session, batch = session_pod(values, a_request(values)), job(values, a_request(values, **changes))
        homes = [
            next(one for one in main_of(made)["volumeMounts"] if "/home/" in one["mountPath"])
            for made in (session, batch)
        ]
        assert homes[0] == homes[1]
    with pytest.raises(BackendError, match="a job cannot have a home that is a claim of its own: claims belong to the"):
        job(farm("claims"), a_request(farm("claims"), **changes))


def test_numbers_of_person_and_projects() -> None:
    values = farm()
    security = session_pod(values, a_request(values, writes_public=True))["spec"]["securityContext"]
    expected = numbers(values, a_session(writes_public=True))
    assert security["runAsUser"] == security["runAsGroup"] == expected.uid
    assert security["supplementalGroups"] == sorted([expected.projects["lhcb-flashsim"], expected.public])
    platform = job(values, PodRequest(a_session(person=None, kind=WorkloadKind.job, job_class=JobClass.platform)))
    assert pod_spec(platform)["securityContext"]["runAsUser"] == 65532


def test_text_is_never_expanded_by_the_cluster() -> None:
    """Kubernetes replaces ``$(NAME)``: a branch called ``$(JUPYTERHUB_API_TOKEN)`` would become the token."""
    values = farm()
    request = a_request(values, environment={"AIINFN_GIT": "$(JUPYTERHUB_API_TOKEN)"}, command=("run", "$(HOME)"))
    main = main_of(session_pod(values, request))
    assert {"name": "AIINFN_GIT", "value": "$$(JUPYTERHUB_API_TOKEN)"} in main["env"]
    assert main["command"][-1] == "$$(HOME)"


@given(st.text())
def test_what_the_cluster_makes_of_a_literal_is_the_text(text: str) -> None:
    """As Kubernetes expands: ``$$`` is ``$``, ``$(`` begins a name, any other ``$`` is itself."""
    escaped = manifests.literal(text)
    assert re.sub(r"\$\$", "$", escaped) == text
    assert not re.search(r"(?<!\$)(\$\$)*\$\(", escaped)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [({"A B": "x"}, "not the name of a variable"), ({"=": ""}, "not the name"), ({"A": "x\0y"}, "zero byte")],
)
def test_wrong_variables_are_a_sentence(environment: dict[str, str], sentence: str) -> None:
    values = farm()
    with pytest.raises(BackendError, match=sentence):
        session_pod(values, a_request(values, environment=environment))
    with pytest.raises(BackendError, match=sentence):
        secret(values, replace(a_request(values), secrets=environment))


def test_one_machine_makes_no_pods() -> None:
    from jupyterhub_aiinfn.values import load_values

    local = load_values(Path(__file__).parents[3] / "config" / "local.yaml")
    with pytest.raises(BackendError, match="for one machine; add the section kubernetes"):
        manifests.pod_template(local, PodRequest(a_session()))


# Jobs


def test_a_job_is_kept_until_it_is_accounted_and_a_session_never() -> None:
    values = farm()
    batch = job(values, a_request(values, kind=WorkloadKind.job, job_class=JobClass.batch, max_seconds=600))
    assert batch["metadata"]["finalizers"] == ["aiinfn/accounting"]
    assert batch["metadata"]["namespace"] == "aiinfn-jobs"
    assert batch["spec"] | {"template": 0} == {
        "suspend": True,
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": 3600,
        "activeDeadlineSeconds": 600,
        "template": 0,
    }
    session = session_pod(values, a_request(values))
    assert "finalizers" not in session["metadata"]
    assert session["metadata"]["namespace"] == "aiinfn-sessions"
    assert session["spec"]["terminationGracePeriodSeconds"] == 30


def test_queues_and_priorities() -> None:
    values = farm()
    session = session_pod(values, a_request(values))["metadata"]["labels"]
    assert session["kueue.x-k8s.io/queue-name"] == "lhcb-flashsim"
    assert session["kueue.x-k8s.io/priority-class"] == "aiinfn-session"
    for job_class, name in ((JobClass.platform, "aiinfn-platform"), (JobClass.batch, "aiinfn-batch")):
        made_job = job(values, a_request(values, kind=WorkloadKind.job, job_class=job_class))
        assert made_job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == name
        assert not any("kueue" in label for label in made_job["spec"]["template"]["metadata"]["labels"])
        assert "priorityClassName" not in pod_spec(made_job)
    bare = farm(kueue=False)
    pod = session_pod(bare, replace(a_request(bare), queue=None))
    assert pod["spec"]["priorityClassName"] == "aiinfn-session"
    assert not any("kueue" in label for label in pod["metadata"]["labels"])
    assert job(bare, replace(a_request(bare, kind=WorkloadKind.job), queue=None))["spec"]["suspend"] is False


def test_a_secret_goes_with_its_pod() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "n", "uid": "u", "labels": {}}}
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "n", "uid": "u"}
    assert manifests.owned_by(owner) == {"metadata": {"ownerReferences": [reference]}}


def test_the_farms_are_all_used() -> None:
    assert len(FARMS) == 8
    assert isinstance(numbers(farm(), a_session()), Numbers)
