"""Which homes get a rescue session, and in which words."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.model.rescue import (
    NEEDED_FILES,
    SCRATCH,
    HomeProbe,
    rescue_environment,
    rescue_reason,
    scratch_folders,
)


@pytest.mark.parametrize(
    "probe",
    [
        HomeProbe(),
        HomeProbe(free_files=NEEDED_FILES),
        HomeProbe(free_files=None, mode=0o700),
        HomeProbe(mode=0o500),  # it could be written all the same, so nothing is wrong
    ],
)
def test_a_home_that_can_be_written_gets_an_ordinary_session(probe: HomeProbe) -> None:
    assert rescue_reason(probe) == ""


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (HomeProbe("write", errno.EDQUOT), "reached its limit"),
        (HomeProbe("open", errno.EDQUOT), "reached its limit"),
        (HomeProbe("write", errno.ENOSPC), "disk of your home is full"),
        (HomeProbe("open", errno.ENOSPC, free_files=0), "no more files"),
        (HomeProbe("open", errno.ENOSPC, free_files=500), "disk of your home is full"),
        (HomeProbe("open", errno.ENOSPC, free_files=None), "disk of your home is full"),
        (HomeProbe(free_files=0), "only 0 more files"),
        (HomeProbe(free_files=NEEDED_FILES - 1), f"only {NEEDED_FILES - 1} more files"),
        (HomeProbe("open", errno.EROFS), "can only be read"),
        (HomeProbe("open", errno.EACCES, mode=0o500), "0500"),
        (HomeProbe("open", errno.EACCES, mode=0o000), "0000"),
        (HomeProbe("open", errno.EACCES, mode=0o700), "EACCES"),
        (HomeProbe("open", errno.EIO), "EIO"),
        (HomeProbe("open", 99999), "unknown"),
        (HomeProbe(blocked=".jupyter"), "~/.jupyter"),
    ],
)
def test_a_home_that_cannot_gets_a_rescue_session_and_a_sentence(probe: HomeProbe, words: str) -> None:
    assert words in rescue_reason(probe)


def test_what_was_tried_comes_before_what_was_seen() -> None:
    probe = HomeProbe("write", errno.EDQUOT, free_files=0, blocked=".jupyter")
    assert "limit" in rescue_reason(probe)


@given(
    st.sampled_from(["open", "write"]), st.integers(0, 200), st.none() | st.integers(0, 10**9), st.integers(0, 0o7777)
)
def test_every_failure_has_a_sentence_with_a_remedy(failed: str, error: int, free: int | None, mode: int) -> None:
    reason = rescue_reason(HomeProbe(failed, error, free, mode))
    assert any(word in reason for word in ("delete", "administrator", "right"))


def test_the_state_goes_to_scratch_space_and_kernels_of_the_home_are_still_found() -> None:
    variables = rescue_environment("it is full", "/home/alice", {"JUPYTER_PATH": "/images/python"})
    assert (variables["AIINFN_RESCUE"], variables["AIINFN_RESCUE_REASON"]) == ("1", "it is full")
    assert variables["JUPYTER_PATH"] == "/images/python:/home/alice/.local/share/jupyter"
    for name in scratch_folders("/home/alice"):
        assert variables[name].startswith(f"{SCRATCH}/")


def test_without_an_image_the_kernels_of_the_home_are_found_too() -> None:
    assert rescue_environment("x", "/home/a", {})["JUPYTER_PATH"] == "/home/a/.local/share/jupyter"
