"""Links in the home to shared folders: made where nothing is, never in the way of anything."""

from __future__ import annotations

from pathlib import Path

from jupyterhub_aiinfn.singleuser.folder_links import link_folders

BOTH = {"AIINFN_PROJECTS_FOLDER": "/projects", "AIINFN_PUBLIC_FOLDER": "/public"}


def test_links_lead_to_the_folders(tmp_path: Path) -> None:
    for _ in range(2):
        link_folders(BOTH, tmp_path)
        assert {path.name: str(path.readlink()) for path in tmp_path.iterdir()} == {
            "projects": "/projects",
            "public": "/public",
        }


def test_what_a_person_has_under_that_name_stays(tmp_path: Path) -> None:
    (tmp_path / "projects").mkdir()
    (tmp_path / "public").symlink_to("elsewhere")
    link_folders(BOTH, tmp_path)
    link_folders({}, tmp_path)
    assert (tmp_path / "projects").is_dir()
    assert str((tmp_path / "public").readlink()) == "elsewhere"


def test_a_link_that_leads_nowhere_any_more_goes(tmp_path: Path) -> None:
    link_folders(BOTH, tmp_path)
    link_folders({"AIINFN_PUBLIC_FOLDER": "/public"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["public"]


def test_a_home_that_takes_nothing_is_no_problem(tmp_path: Path) -> None:
    link_folders(BOTH, tmp_path / "missing")
    (tmp_path / "file").touch()
    link_folders(BOTH, tmp_path / "file")
    assert not (tmp_path / "missing").exists()
