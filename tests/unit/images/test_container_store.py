"""Which images are taken out of buildah's store, whatever is in it; what cannot be read takes nothing out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.container_images.__main__ import main
from scripts.container_images.plan import PREFIX
from scripts.container_images.report import Record
from scripts.container_images.store import Stored, bytes_of, outdated, read_used, sentence, write_used

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(days=2)
OLD, YOUNG = NOW - timedelta(days=9), NOW - timedelta(hours=1)
HUB, OLDER = f"{PREFIX}/hub:{'a' * 16}", f"{PREFIX}/hub:{'b' * 16}"
RECORD = Record("hub", "a" * 16, 10**9, 60.0, 5.0, (OLD + timedelta(seconds=70)).isoformat(), "buildah")


def stored(*names: str, created: datetime = OLD) -> Stored:
    return Stored("0123", names, created)


def is_out(image: Stored, used: dict[str, datetime] | None = None) -> bool:
    return outdated([image], {HUB}, used or {}, [RECORD], BEFORE, BEFORE) == [image]


def test_an_older_key_goes_and_the_newest_stays_however_old() -> None:
    assert is_out(stored(OLDER))
    assert is_out(stored(f"{OLDER}-unproven"))
    assert not is_out(stored(HUB))
    assert not is_out(stored(OLDER, HUB))


def test_what_was_made_or_used_lately_stays() -> None:
    assert not is_out(stored(OLDER, created=YOUNG))
    assert not is_out(stored(OLDER), {OLDER: YOUNG})
    assert is_out(stored(OLDER), {OLDER: OLD, HUB: YOUNG})


@pytest.mark.parametrize(
    "name",
    [
        f"{PREFIX}/hub:0.1.0",
        f"{PREFIX}/debian:{'c' * 16}",
        f"registry.example.org/aiinfn/hub:{'c' * 16}",
        f"{PREFIX}/hub:{'c' * 17}",
        "docker.io/library/debian:13-slim",
    ],
)
def test_names_that_no_build_gave_keep_an_image(name: str) -> None:
    assert not is_out(stored(name))
    assert not is_out(stored(OLDER, name))


def test_a_stage_goes_unless_the_newest_images_were_built_with_it() -> None:
    assert is_out(stored(created=OLD - timedelta(minutes=5)))
    assert is_out(stored(created=OLD + timedelta(minutes=5)))
    assert not is_out(stored(created=OLD + timedelta(seconds=30)))
    assert not is_out(stored(created=YOUNG))


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
NAMES = st.sampled_from([HUB, OLDER, f"{PREFIX}/hub:0.1.0", f"{PREFIX}/lab:{'d' * 16}", "x", ""])
IMAGES = st.builds(Stored, st.text(max_size=3), st.lists(NAMES, max_size=3).map(tuple), MOMENTS)


@given(st.lists(IMAGES, max_size=6), st.sets(NAMES), st.dictionaries(NAMES, MOMENTS), MOMENTS, MOMENTS)
def test_nothing_that_is_kept_or_young_goes(
    found: list[Stored], kept: set[str], used: dict[str, datetime], before: datetime, stages_before: datetime
) -> None:
    gone = outdated(found, kept, used, [RECORD], before, stages_before)
    for image in gone:
        assert image in found
        assert image.created < (before if image.names else stages_before)
        assert not kept & set(image.names)
        assert all(used.get(name, image.created) < before for name in image.names)
    nameless = [not image.names for image in gone]
    assert nameless == sorted(nameless)


def test_what_was_used_is_written_and_read_again(tmp_path: Path) -> None:
    write_used(tmp_path / "used.json", {HUB: NOW})
    assert read_used(tmp_path / "used.json") == {HUB: NOW}


@pytest.mark.parametrize("content", ["", "[]", "null", "{", '{"a": 3}', '{"a": "yesterday"}', '{"a": "2026-11-25"}'])
def test_a_file_that_cannot_be_read_says_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "used.json").write_text(content)
    assert read_used(tmp_path / "used.json") == {}
    layers = tmp_path / "store" / "overlay-layers"
    layers.mkdir(parents=True)
    (layers / "layers.json").write_text(content)
    assert bytes_of(tmp_path) == 0


def test_it_says_what_went() -> None:
    assert sentence([], 0) == ""
    said = sentence([stored(OLDER), stored(), stored()], 2 * 10**9)
    assert said == f"taken out of the store: hub:{'b' * 16} and 2 stages of builds; 2.00 GB freed"


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "1e9", "x", ""])
def test_an_age_that_is_none_is_refused(days: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--keep-days", days, "--only-clean"])
    assert "invalid days value" in capsys.readouterr().err
