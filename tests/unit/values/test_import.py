"""`aiinfn values import`: today's catalogue and groups become values, and whatever they hold there is no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import ValuesError
from jupyterhub_aiinfn.values import Values, parse_values
from jupyterhub_aiinfn.values.importing import as_yaml, import_values
from jupyterhub_aiinfn.values.prices import Price

DAY = date(2026, 11, 24)
PRODUCT = "nvidia.com/gpu.product"
MODELS: list[dict[str, Any]] = [
    {"name": "cpu-only", "short_name": "CPU only", "type": None, "preference_weight": 100, "node_selector": {"a": "b"}},
    *(
        {
            "name": name,
            "short_name": short,
            "description": f"{short}, of the farm",
            "node_selector": {PRODUCT: name},
            "memory_gb": memory,
            "preference_weight": weight,
            "type": "gpu",
            "extended_resource": "nvidia.com/gpu",
        }
        for name, short, memory, weight in (
            ("NVIDIA-A100-80GB-PCIe-MIG-1g.10gb", "A100-80GB MIG 1g.10gb", 10, 9),
            ("NVIDIA-A100-PCIE-40GB-MIG-1g.5gb", "A100-40GB MIG 1g.5gb", 5, 9),
            ("Tesla-T4", "T4", 16, 8),
            ("Quadro-RTX-5000", "Quadro RTX5000", 16, 7),
            ("NVIDIA-A30", "A30", 24, 6),
            ("NVIDIA-A100-80GB-PCIe-MIG-2g.20gb", "MIG 2g.20gb", 20, 6),
            ("NVIDIA-A100-80GB-PCIe-MIG-3g.40gb", "MIG 3g.30gb", 40, 5),
            ("NVIDIA-A100-80GB-PCIe-MIG-4g.40gb", "MIG 4g.40gb", 40, 3),
            ("NVIDIA-A100-80GB-PCIe-MIG-7g.80gb", "A100 80 GB", 80, 2),
        )
    ),
    {
        "name": "AMD-Xilinx-U55c",
        "short_name": "U55c",
        "node_selector": {},
        "memory_gb": 16,
        "preference_weight": 1,
        "type": "fpga",
        "extended_resource": "amd.com/xilinx_u55c_gen3x16_xdma_base_3-0",
    },
]
"""The catalogue of the institute: ten kinds of devices, nine of them one resource, and nodes without any."""
GROUPS = [
    {
        "kind": "group",
        "name": "lhcb-flashsim",
        "users": ["lucia"],
        "roles": [],
        "properties": {"cpu": [8], "mem_gb": 32},
    },
    {"kind": "group", "name": "sudoer", "users": [], "properties": {"system": True}},
    {"kind": "group", "name": "qml", "users": [], "properties": {"storage": ["qml-data", "qml-models"]}},
]
ADDED = """
site: {name: Farm}
images: {python: {name: Python, folder: images/python}}
profiles:
  gpu: {name: GPU, image: python, accelerators: [t4], sizes: {small: {cores: 2, memory_gib: 8}}, max: 8h}
"""


def write(folder: Path, name: str, data: object) -> Path:
    file = folder / name
    text = data if isinstance(data, str) else json.dumps(data)
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return file


def imported(folder: Path, catalogue: object, groups: object = None) -> tuple[str, list[str]]:
    """The values file and the sentences."""
    file = None if groups is None else write(folder, "groups.json", groups)
    found = import_values(write(folder, "catalogue.yaml", catalogue), file, DAY)
    return as_yaml(found, "catalogue.yaml"), found.notes


def completed(text: str, added: str = ADDED.replace("accelerators: [t4], ", "")) -> Values:
    return parse_values(text + added, "completed")


def test_the_catalogue_of_the_institute_passes_the_check_once_completed(tmp_path: Path) -> None:
    text, notes = imported(tmp_path, {"models": MODELS}, GROUPS)
    values = completed(text, ADDED)
    assert len(values.accelerators) == 10
    t4 = values.accelerators["t4"]
    assert (t4.name, t4.type, t4.memory_gb, t4.preference_weight) == ("T4", "gpu", 16, 8)
    assert t4.node_selector == {PRODUCT: "Tesla-T4"}
    assert values.nodes["cpu-only"].selector == {"a": "b"}
    assert values.projects.keys() == {"lhcb-flashsim", "qml"}
    assert values.projects["qml"].groups == ("qml",)
    said = "\n".join(notes)
    assert 'group "lhcb-flashsim": its members may choose also 8 cores and 32 GB' in said
    assert 'its extra buckets were not carried over, values have no section for them: "qml-data", "qml-models"' in said
    assert 'group "sudoer" is a privilege and no project' in said
    free = [Price(starts=DAY, price=0.0)]
    assert [list(one.price_per_hour) for one in values.accelerators.values()] == [free] * 10
    assert "10 of 10 accelerators have no price in the catalogue: a100-80gb-mig-1g-10gb, " in said
    assert "missing prices are 0 from 2026-11-24 on" in said


def test_it_is_plainly_incomplete_until_then(tmp_path: Path) -> None:
    text, _ = imported(tmp_path, {"models": MODELS})
    assert "NOT COMPLETE" in text
    assert not {"site", "images", "profiles"} & yaml.safe_load(text).keys()
    with pytest.raises(ValuesError) as caught:
        parse_values(text, "imported")
    assert {problem.path for problem in caught.value.problems} == {"site", "images", "profiles"}


@pytest.mark.parametrize("nothing", [None, "", "None", "none", "null"])
def test_words_for_nothing_make_a_class_of_nodes_or_take_the_type_from_the_resource(
    tmp_path: Path, nothing: str | None
) -> None:
    models = [
        {"name": "big", "type": nothing, "extended_resource": nothing, "node_selector": {"kind": "big"}},
        {"name": "T4", "type": nothing, "extended_resource": "nvidia.com/gpu", "memory_gb": nothing},
        {"name": "odd", "type": nothing, "extended_resource": "example.org/thing"},
    ]
    text, notes = imported(tmp_path, {"models": models})
    values = completed(text)
    assert values.nodes.keys() == {"big"}
    assert values.accelerators["t4"].type == "gpu"
    assert values.accelerators["t4"].memory_gb is None
    assert any('gpu was taken from its resource "nvidia.com/gpu"' in note for note in notes)
    assert any('entry 3 ("odd") was not carried over' in note for note in notes)


def test_two_that_a_node_could_both_be_do_not_both_come_along(tmp_path: Path) -> None:
    models = [{"name": name, "type": "gpu", "extended_resource": "nvidia.com/gpu"} for name in ("A", "B")]
    text, notes = imported(tmp_path, {"models": models})
    assert completed(text).accelerators.keys() == {"a"}
    assert any(note.startswith("accelerators.b was not carried over: ") for note in notes)


def test_duplicates_and_names_with_the_same_key(tmp_path: Path) -> None:
    t4 = {"name": "T4", "type": "gpu", "extended_resource": "nvidia.com/gpu", "node_selector": {"m": "1"}}
    other = {**t4, "name": "t_4", "node_selector": {"m": "2"}}
    text, notes = imported(tmp_path, {"models": [t4, t4, {**t4, "name": "T.4", "node_selector": {"m": "3"}}, other]})
    assert completed(text).accelerators.keys() == {"t4", "t-4", "t-4-2"}
    assert any("written twice" in note for note in notes)
    assert any("has the key t-4 already" in note for note in notes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory_gb", 10**17),
        ("memory_gb", "many"),
        ("memory_gb", [16]),
        ("preference_weight", -5),
        ("preference_weight", 5.5),
        ("price_per_hour", "0.12 EUR"),
        ("price_per_hour", -1),
        ("price_per_hour", 0.0000001),
        ("price_per_hour", [{"from": "2026-01-01", "price": 1}]),
        ("price", 0.12),
        ("node_selector", "gpu=T4"),
        ("node_selector", {"label": ["a"]}),
        ("owner", "CSN5"),
    ],
)
def test_a_field_that_cannot_be_read_is_said_and_the_rest_carried_over(
    tmp_path: Path, field: str, value: object
) -> None:
    model = {"name": "T4", "type": "gpu", "extended_resource": "nvidia.com/gpu", field: value}
    text, notes = imported(tmp_path, {"models": [model]})
    assert completed(text).accelerators.keys() == {"t4"}
    assert any(note.startswith('entry 1 ("T4")') and "was not carried over" in note for note in notes)


@pytest.mark.parametrize(("given", "price"), [(0.12, 0.12), ("0.5", 0.5), (0, 0.0), (1234567e-6, 1.234567)])
def test_a_plain_price_is_carried_over_and_the_others_are_zero(tmp_path: Path, given: object, price: float) -> None:
    models = [
        {"name": "T4", "type": "gpu", "extended_resource": "a/gpu", "price_per_hour": given},
        {"name": "A30", "type": "gpu", "extended_resource": "b/gpu", "price_per_hour": "None"},
    ]
    text, notes = imported(tmp_path, {"models": models})
    priced = completed(text).accelerators
    assert [list(priced[key].price_per_hour) for key in ("t4", "a30")] == [
        [Price(starts=DAY, price=price)],
        [Price(starts=DAY, price=0.0)],
    ]
    assert any(note.startswith('entry 1 ("T4"): price_per_hour ') and "site.currency" in note for note in notes)
    assert "1 of 2 accelerators has no price in the catalogue: a30" in notes


def test_nothing_is_said_of_prices_when_none_is_missing(tmp_path: Path) -> None:
    model = {"name": "T4", "type": "gpu", "extended_resource": "a/gpu", "price_per_hour": 0.12}
    for models in ([], [model]):
        _, notes = imported(tmp_path, {"models": models})
        assert not any("missing prices" in note for note in notes)


@pytest.mark.parametrize(
    "catalogue",
    ["", "[]", "models:", "models: {}", "a: !!python/object:os.system x", "[" * 10_000, "models: [" + "x, " * 30_000],
)
def test_what_is_no_catalogue_is_a_sentence(tmp_path: Path, catalogue: str) -> None:
    with pytest.raises(ValuesError):
        imported(tmp_path, catalogue)


@pytest.mark.parametrize(
    "groups",
    [
        {"qml": {"cpu": 8, "mem_gb": "16, 32"}, "root": {"system": "true"}},
        {"qml": {"properties": {"cpu": 8, "mem_gb": [16, 32]}}, "root": {"properties": {"system": True}}},
        [{"name": "qml", "cpu": 8, "mem_gb": [16, 32]}, {"name": "root", "system": 1}],
        [
            {"id": 1, "name": "qml", "properties": '{"cpu": 8, "mem_gb": [16, 32]}'},
            {"id": 2, "name": "root", "properties": '{"system": true}'},
        ],
    ],
)
def test_groups_in_each_form_in_which_a_hub_gives_them(tmp_path: Path, groups: object) -> None:
    text, notes = imported(tmp_path, {"models": []}, groups)
    assert completed(text).projects.keys() == {"qml"}
    assert any('group "qml": its members may choose also 8 cores and 16, 32 GB' in note for note in notes)
    assert any('group "root" is a privilege' in note for note in notes)


def test_the_command_writes_values_and_sentences_apart(tmp_path: Path) -> None:
    catalogue = write(tmp_path, "catalogue.yaml", {"models": MODELS})
    groups = write(tmp_path, "groups.json", GROUPS)
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "values"]
    done = subprocess.run(
        [*command, "import", "--catalogue", str(catalogue), "--groups", str(groups)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "carried over: 1 nodes, 10 accelerators, 2 projects\n" in done.stderr
    assert "missing prices are 0 from 20" in done.stderr
    assert "add what cannot be invented" in done.stderr
    file = write(tmp_path, "values.yaml", done.stdout + ADDED)
    checked = subprocess.run([*command, "check", str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr
    big = tmp_path / "big.yaml"
    big.write_bytes(b"models:\n" + b"- {name: x}\n" * 900_000)
    for path in (big, tmp_path, tmp_path / "absent", Path("/dev/zero")):
        failed = subprocess.run(
            [*command, "import", "--catalogue", str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert failed.returncode == 1
        assert failed.stdout == ""
        assert failed.stderr.startswith("Error: ")
        assert "Traceback" not in failed.stderr


WORDS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40),
    st.sampled_from(["None", "gpu", "fpga", "T4", "t4", "nvidia.com/gpu", "reserved", "a" * 200, "\x00", "- - -"]),
)  # fmt: skip
THINGS = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
FIELDS = ("name", "short_name", "description", "node_selector", "memory_gb", "preference_weight", "type")
MORE_FIELDS = ("extended_resource", "price_per_hour", "x")
ENTRIES = st.dictionaries(st.sampled_from((*FIELDS, *MORE_FIELDS)), THINGS, max_size=10) | THINGS
PROPERTIES = st.dictionaries(st.sampled_from(("cpu", "mem_gb", "storage", "system", "properties", "name")), THINGS)


def as_text(data: object) -> str:
    """Data as our reader may get it, with what JSON and YAML cannot say alike left to the reader's own sentences."""
    return json.dumps(data, ensure_ascii=False)


@pytest.mark.slow
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ENTRIES, max_size=6), st.lists(PROPERTIES | THINGS, max_size=4) | st.dictionaries(st.text(), THINGS))
def test_whatever_the_files_hold_it_passes_the_check_or_is_refused_in_words(
    tmp_path: Path, models: list[object], groups: object
) -> None:
    try:
        text, notes = imported(tmp_path, as_text({"models": models}), as_text(groups))
    except ValuesError:
        reject()  # a sentence; if most examples ended so, hypothesis would complain
    completed(text)
    assert all(note.isprintable() for note in notes)
