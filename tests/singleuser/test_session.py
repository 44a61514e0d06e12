"""What the session says about itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.singleuser.session import describe

GPU = {
    "AIINFN_PROFILE": "gpu",
    "AIINFN_PROFILE_NAME": "GPU",
    "AIINFN_PROJECT": "lhcb",
    "AIINFN_ACCELERATOR": "a100-1g",
    "AIINFN_ACCELERATOR_COUNT": "2",
    "AIINFN_EMULATED": "1",
    "AIINFN_ENDS_AT": "2026-11-24T10:00:00+01:00",
}


def test_outside_the_platform_it_says_nothing():
    assert describe({"AIINFN_PROJECT": "lhcb"}) == describe({})
    assert not describe({}).under_platform


def test_it_says_what_the_hub_said():
    session = describe(GPU)
    assert (session.profile, session.profile_name, session.accelerator_count) == ("gpu", "GPU", 2)
    assert session.emulated
    assert session.ends_at == "2026-11-24T10:00:00+01:00"


def test_a_name_that_is_missing_is_the_identifier():
    assert describe(GPU).project_name == "lhcb"


def test_no_accelerator_no_count():
    assert describe({"AIINFN_PROFILE": "python", "AIINFN_ACCELERATOR_COUNT": "3"}).accelerator_count is None


@given(st.text())
def test_a_nonsensical_count_is_one_or_a_number(count):
    assert describe(GPU | {"AIINFN_ACCELERATOR_COUNT": count[:12]}).accelerator_count >= 0


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_only_known_variables_are_told(variables):
    secret = {"JUPYTERHUB_API_TOKEN": "very-secret", "AIINFN_SECRET": "very-secret"}
    assert "very-secret" not in describe(variables | GPU | secret).model_dump_json()
