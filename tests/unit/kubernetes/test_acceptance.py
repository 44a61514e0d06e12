"""What an acceptance asks for, and what follows from answers: good, wrong, hostile and huge ones."""

from __future__ import annotations

import copy
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.kubernetes.acceptance import looking
from jupyterhub_aiinfn.backends.kubernetes.acceptance.looking import Answers, read_answers
from jupyterhub_aiinfn.backends.kubernetes.acceptance.plan import (
    PEOPLE,
    chosen,
    everybodys_groups,
    plan_of,
    trial_values,
)
from jupyterhub_aiinfn.backends.kubernetes.acceptance.report import Finding, Report, Result
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.model.numbers import numbers_of
from jupyterhub_aiinfn.values.accelerators import Accelerator

from .farms import DATA, farm, values_of

T4 = Accelerator(type="gpu", name="T4", resource="nvidia.com/gpu", memory_gb=16)
SLICE = Accelerator(type="gpu", name="Slice", resource="nvidia.com/mig-1g.10gb", memory_gb=10)
BOARD = Accelerator(type="fpga", name="Board", resource="amd.com/board")


def answers(**said: str | list[str]) -> Answers:
    return Answers({key: [value] if isinstance(value, str) else value for key, value in said.items()})


def two_t4() -> Answers:
    gpu = ["GPU 0: Tesla T4 (UUID: GPU-0a)", "GPU 1: Tesla T4 (UUID: GPU-0b)"]
    return answers(smi="yes", gpu=gpu, mib=["15360", "15360"])


def one_slice() -> Answers:
    gpu = ["GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-0a)", "MIG 1g.10gb     Device  0: (UUID: MIG-0b)"]
    return answers(smi="yes", gpu=gpu, mib="81920")


# The script, run for real


def run(tmp_path: Path, word: str, *, write: bool) -> Answers:
    command = looking.command(write=write, word=word, other_home=str(tmp_path / "other"), seconds=0)
    variables = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", looking.WORD: "x"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return read_answers(done.stdout)


def test_the_script_answers_keeps_a_word_in_the_home_and_takes_it_away(tmp_path: Path) -> None:
    first = run(tmp_path, "ab12", write=True)
    assert (first.complete, first["wrote"], first["word"], first["before"], first["other"]) == (
        True,
        "yes",
        "yes",
        "-",
        "no",
    )
    (tmp_path / "other").mkdir()
    second = run(tmp_path, "ab12", write=False)
    assert (second["before"], second["other"]) == ("ab12", "yes")
    assert looking.home("ab12", second)[0] is Result.passed
    assert looking.home("ab13", second)[0] is Result.failed
    assert looking.other_home(second)[0] is Result.failed
    assert run(tmp_path, "ab12", write=False)["before"] == "-"


# Devices


@pytest.mark.parametrize(
    ("entry", "count", "found", "result", "words"),
    [
        (T4, 2, two_t4(), Result.passed, "2 promised and seen: GPU 0: Tesla T4, GPU 1: Tesla T4"),
        (T4, 1, two_t4(), Result.failed, "1 promised and 2 seen"),
        (T4, 1, answers(smi="yes"), Result.failed, "1 promised and 0 seen (none)"),
        (T4, 1, answers(), Result.failed, "there is no nvidia-smi in the session"),
        (SLICE, 1, one_slice(), Result.passed, "MIG 1g.10gb"),
        (BOARD, 1, answers(device=["/dev/dri/renderD128"]), Result.passed, "/dev/dri/renderD128"),
        (BOARD, 1, answers(device=["/dev/nvidia0"]), Result.failed, "1 promised and 0 seen"),
        (T4.model_copy(update={"resource": "amd.com/gpu"}), 1, two_t4(), Result.not_checked, "NVIDIA's only"),
        (T4.model_copy(update={"type": "qpu"}), 1, answers(), Result.not_checked, "QPU"),
    ],
)
def test_exactly_the_promised_devices(
    entry: Accelerator, count: int, found: Answers, result: Result, words: str
) -> None:
    said = looking.device(entry, count, found)
    assert said[0] is result
    assert words in said[1]


@pytest.mark.parametrize(
    ("entry", "found", "result"),
    [
        (T4, two_t4(), Result.passed),
        (T4.model_copy(update={"memory_gb": 80}), two_t4(), Result.failed),
        (T4.model_copy(update={"memory_gb": None}), two_t4(), Result.not_checked),
        (T4, answers(mib=["a lot", "9" * 5000]), Result.not_checked),
        (SLICE, one_slice(), Result.passed),
        (SLICE.model_copy(update={"memory_gb": 80}), one_slice(), Result.failed),
    ],
)
def test_the_memory_of_the_device(entry: Accelerator, found: Answers, result: Result) -> None:
    assert looking.device_memory(entry, found)[0] is result


@pytest.mark.parametrize("seen", [two_t4(), answers(device="/dev/dri/renderD128"), one_slice()])
def test_who_holds_no_device_sees_none(seen: Answers) -> None:
    assert looking.no_device(seen)[0] is Result.failed
    assert looking.no_device(answers(smi="yes"))[0] is Result.passed


# Rights, memory, node


GOOD = {"uid": "1234", "capabilities": "0000000000000000", "privileges": "1", "account": "no"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"uid": "0"}, "it runs as the uid 0 and not as 1234"),
        ({"uid": ""}, "it runs as the uid of nobody"),
        ({"capabilities": "00000000a80425fb"}, "it has the capabilities 00000000a80425fb"),
        ({"privileges": "0"}, "its programs can gain rights"),
        ({"account": "yes"}, "the token of a service account"),
        ({"account": ""}, "the token of a service account"),
    ],
)
def test_each_right_too_many_is_said(change: dict[str, str], words: str) -> None:
    assert looking.rights(1234, answers(**GOOD))[0] is Result.passed
    result, sentence = looking.rights(1234, answers(**{**GOOD, **change}))
    assert result is Result.failed
    assert words in sentence


def test_nobody_is_root() -> None:
    assert looking.rights(0, answers(**{**GOOD, "uid": "0"}))[0] is Result.failed


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (str(2**31), Result.passed),
        (str(2**30), Result.failed),
        ("max", Result.failed),
        ("", Result.not_checked),
        ("-1", Result.not_checked),
        ("9" * 40, Result.not_checked),
    ],
)
def test_the_memory_of_the_session(text: str, result: Result) -> None:
    assert looking.memory(2, answers(memory=text))[0] is result


def test_what_the_pod_holds_and_where_it_is() -> None:
    limits = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert looking.held("nvidia.com/gpu", 1, limits)[0] is Result.passed
    for wrong in ({}, {"nvidia.com/gpu": "2"}, {**limits, "amd.com/board": "1"}):
        assert looking.held("nvidia.com/gpu", 1, wrong)[0] is Result.failed
    assert looking.node({"model": "t4"}, "n1", {"model": "t4", "x": "y"})[0] is Result.passed
    assert looking.node({"model": "t4"}, "n1", {"model": "a100"})[1].startswith("it runs on n1, which has not model=t4")


# Answers that nobody can trust


@given(st.text(max_size=300), st.text("ab \x1b\x00|<", max_size=400))
def test_whatever_an_image_writes_is_read_without_harm(noise: str, value: str) -> None:
    found = read_answers(f"{noise}\naiinfn-accept gpu {value}\naiinfn-accept done yes")
    assert all(char.isprintable() for one in found.all("gpu") for char in one)
    assert all(len(one) <= looking.MAX_ANSWER for values in found.said.values() for one in values)
    looking.device(T4, 1, found)
    looking.device_memory(T4, found)


def test_a_flood_of_answers_is_cut() -> None:
    found = read_answers("aiinfn-accept device /dev/x\n" * 100_000)
    assert len(found.all("device")) == looking.MAX_ANSWERS
    assert not found.complete


# Plans


def test_the_plan_is_the_smallest_session_of_a_profile_that_offers_it() -> None:
    plan = plan_of(farm(), "a100-1g")
    assert (plan.profile, plan.size_name, plan.count, plan.project) == ("gpu", "small", 1, "lhcb-flashsim")
    spec = plan.spec(PEOPLE[0], word="w", with_device=True, write=True, seconds=60)
    assert (spec.accelerator, spec.accelerator_count, spec.max_seconds) == ("a100-1g", 1, 60)
    assert f"/home/{PEOPLE[1]}" in spec.command
    without = plan.spec(PEOPLE[1], word="w", with_device=False, write=False, seconds=60)
    assert (without.accelerator, without.accelerator_count, without.image) == (None, 0, spec.image)
    assert {plan_of(farm(), one).accelerator for one in chosen(farm(), ())} == set(DATA["accelerators"])


def test_what_cannot_be_planned_is_a_sentence() -> None:
    data = copy.deepcopy(DATA)
    data["profiles"]["fpga"]["accelerators"] = ["u55c"]
    with pytest.raises(BackendError, match="no profile offers it"):
        plan_of(values_of(data), "v70")
    with pytest.raises(BackendError, match='there is no accelerator "h100" in the values; there are a100-1g, '):
        chosen(farm(), ["t4", "h100"])
    assert chosen(farm(), ["t4", "a100"]) == ["a100", "t4"]


def test_reserved_nodes_open_and_uids_of_the_provider_are_computed() -> None:
    assert "lhcb-flashsim" in everybodys_groups(farm())
    data = copy.deepcopy(DATA)
    data["identity"]["uid"] = {"method": "claim", "claim": "uidNumber"}
    values = values_of(data)
    with pytest.raises(BackendError):
        numbers_of(values, PEOPLE[0])
    assert numbers_of(trial_values(values), PEOPLE[0]).uid > 0
    assert trial_values(farm()) == farm()


# The report


def report(*results: Result) -> Report:
    found = [Finding("t4", f"check {n}", one, "seen | <b>`x`</b>\n# head") for n, one in enumerate(results)]
    return Report("0123", datetime(2026, 11, 25, tzinfo=UTC), findings=found)


@pytest.mark.parametrize(
    ("results", "accepted", "verdict"),
    [
        ((Result.passed, Result.not_checked), True, "**Accepted: 1 checks passed, 1 not checked**"),
        ((Result.passed, Result.failed), False, "**Not accepted: 1 of 2 checks failed**"),
        ((), False, "**Not accepted: 0 of 0 checks failed**"),
    ],
)
def test_the_verdict(results: tuple[Result, ...], accepted: bool, verdict: str) -> None:
    made = report(*results)
    assert made.accepted is accepted
    assert verdict in made.as_markdown()
    assert json.loads(made.as_json())["accepted"] is accepted


def test_an_interrupted_one_is_never_accepted() -> None:
    made = report(Result.passed)
    made.interrupted = True
    assert made.accepted is False
    assert "**Interrupted: " in made.as_markdown()


def test_what_was_seen_stays_in_its_cell() -> None:
    row = next(line for line in report(Result.passed).as_markdown().splitlines() if line.startswith("| check 0"))
    assert row == "| check 0 | passed | seen \\| \\<b\\>\\`x\\`\\</b\\> # head |"
