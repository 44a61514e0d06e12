"""Values of clusters and workloads on them, made up: hostile names, every storage, with and without Kueue."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.kubernetes.manifests import PLATFORM, PodRequest
from jupyterhub_aiinfn.model.numbers import Numbers, numbers_of
from jupyterhub_aiinfn.values import Values, parse_values

CONFIG = Path(__file__).parents[3] / "config" / "kubernetes.yaml"
DATA: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
HOMES: dict[str, dict[str, Any]] = {
    "nfs": {"home": {"backend": "nfs", "server": "nas.example.org", "export": "/exports"}},
    "shared-claim": {"home": {"backend": "shared-claim", "claim": "homes"}},
    "claims": {
        "home": {"backend": "claims", "quota_gib": 10},
        "project": {"volume": {"server": "nas.example.org"}},
        "public": {"volume": {"server": "nas.example.org"}},
    },
}
GROUPS = ("users/ai-infn", "lhcb-flashsim", "quantum-lab", "admins/ai-infn")
HOSTILE = st.text(min_size=1, max_size=70) | st.text("ab-._@/ \u00e9A$()", min_size=1, max_size=70)
"""What a login name may be: JupyterHub takes nearly everything."""
NAMES = (
    st.sampled_from(["alice", "lucio.anderlini", "a--b", "8abc", "..", "-", "x" * 63, "a---0123456789abcdef"]) | HOSTILE
)


def values_of(data: dict[str, Any]) -> Values:
    return parse_values(yaml.safe_dump(data, sort_keys=False), "farm")


def farm(home: str = "nfs", kueue: bool = True, **storage: Any) -> Values:
    """The example of a farm with another storage of homes, or without Kueue."""
    data = copy.deepcopy(DATA)
    data["storage"] = {**data["storage"], **copy.deepcopy(HOMES[home]), **storage}
    if not kueue:
        del data["kubernetes"]["kueue"]
        for project in data["projects"].values():
            project.pop("guaranteed", None)
        for profile in data["profiles"].values():
            profile.pop("wait", None)
    return values_of(data)


FARMS = {
    **{(home, kueue, "node"): farm(home, kueue) for home in HOMES for kueue in (True, False)},
    ("nfs", True, "claim"): farm(scratch={"kind": "claim", "gib": 5, "storage_class": "local"}),
    ("claims", True, "none"): farm("claims", scratch=None, cvmfs=[], buckets={}),
}
SPECS = st.builds(
    WorkloadSpec,
    kind=st.just(WorkloadKind.session),
    name=st.text(max_size=20),
    command=st.lists(st.text("ab $()'\"\n-", max_size=10), min_size=1, max_size=4).map(tuple),
    cores=st.floats(0.001, 500),
    memory_gib=st.floats(0.001, 2000),
    guaranteed_cores=st.none() | st.floats(0.001, 500),
    guaranteed_memory_gib=st.none() | st.floats(0.001, 2000),
    person=NAMES,
    server_name=st.sampled_from(["", "second"]),
    project=st.sampled_from(sorted(DATA["projects"])),
    profile=st.sampled_from(sorted(DATA["profiles"])),
    size=st.sampled_from(["small", "large"]),
    image=st.sampled_from(sorted(DATA["images"])),
    folders=st.lists(st.sampled_from(["lhcb-flashsim", "quantum-lab"]), unique=True, max_size=2).map(tuple),
    public=st.booleans(),
    writes_public=st.booleans(),
    max_seconds=st.none() | st.integers(1, 10**6),
    grace_seconds=st.floats(0, 300),
    environment=st.dictionaries(st.sampled_from(["LANG", "AIINFN_GIT", "X"]), st.text("a$()\u00e9", max_size=8)),
    values_hash=st.none() | st.just("0123456789abcdef"),
    key=st.none() | st.text(min_size=1, max_size=100),
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[Values, PodRequest]:
    """A farm, and a session or job on it with the numbers, groups and secrets that it would have."""
    values = FARMS[draw(st.sampled_from(sorted(FARMS)))]
    spec = draw(SPECS)
    changes: dict[str, Any] = {"id": f"w{draw(st.integers(0, 2**80 - 1)):020x}"}
    accelerator = draw(st.none() | st.sampled_from(sorted(values.accelerators)))
    if accelerator is not None:
        changes |= {"accelerator": accelerator, "accelerator_count": draw(st.integers(1, 8))}
    job_class = draw(st.none() | st.sampled_from(list(JobClass)))
    if job_class is not None:
        changes |= {"kind": WorkloadKind.job, "job_class": job_class}
        if values.storage.home.backend == "claims" or (job_class is JobClass.platform and draw(st.booleans())):
            changes |= {"person": None, "folders": (), "public": False, "writes_public": False}
    spec = spec.__class__(**{**{name: getattr(spec, name) for name in spec.__dataclass_fields__}, **changes})
    secrets = draw(
        st.dictionaries(st.sampled_from(["JUPYTERHUB_API_TOKEN", "LANG"]), st.just("tok-7c1f9be2d4a0"), max_size=2)
    )
    groups = frozenset(draw(st.lists(st.sampled_from(GROUPS), max_size=4)))
    queue = spec.project if values.kubernetes and values.kubernetes.kueue else None
    return values, PodRequest(spec, numbers(values, spec), groups, secrets, queue)


def numbers(values: Values, spec: WorkloadSpec) -> Numbers:
    if spec.person is None:
        return PLATFORM
    return numbers_of(values, spec.person, spec.folders, writes_public=spec.writes_public)
