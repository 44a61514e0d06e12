"""The container that makes missing folders: its very command, run on folders of this machine."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.kubernetes.manifests import session_pod

from .farms import farm
from .test_manifests import a_request, main_of


def run_folders(root: Path, pod: dict[str, Any], gid: int, hostname: str = "n") -> subprocess.CompletedProcess[str]:
    """Its very command, with the volumes below ``root`` and a group that the tests may give."""
    (container,) = [one for one in pod["spec"]["initContainers"] if one["name"] == "make-folders"]
    words = [word.replace("$$", "$") for word in container["command"]]
    wanted = {str(number) for number in pod["spec"]["securityContext"]["supplementalGroups"]}
    words = [str(gid) if word in wanted else word.replace("/volumes/", f"{root}/") for word in words]
    variables = {"PATH": "/usr/bin:/bin", "HOSTNAME": hostname}
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False, env=variables)


def test_missing_folders_are_made_with_their_rights_and_others_left_alone(tmp_path: Path) -> None:
    values = farm()
    pod = session_pod(values, a_request(values))
    volume = tmp_path / "claim-aiinfn-nfs-home"
    volume.mkdir()
    for _ in range(2):
        done = run_folders(tmp_path, pod, os.getgid())
        assert (done.returncode, done.stderr) == (0, "")
        assert (volume / "user-alice").stat().st_mode & 0o7777 == 0o700
        assert (volume / "shared-lhcb-flashsim").stat().st_mode & 0o7777 == 0o2770
        (volume / "user-alice" / "thesis.tex").write_text("kept")
    (volume / "user-alice").chmod(0o750)
    assert run_folders(tmp_path, pod, os.getgid()).returncode == 0
    assert (volume / "user-alice").stat().st_mode & 0o777 == 0o750
    assert sorted(one.name for one in volume.iterdir()) == ["shared-lhcb-flashsim", "user-alice"]


def test_a_folder_that_cannot_be_made_fails(tmp_path: Path) -> None:
    values = farm()
    done = run_folders(tmp_path, session_pod(values, a_request(values)), 0)
    assert done.returncode != 0
    assert "user-alice" in done.stderr


def test_two_sessions_at_once_make_one_folder(tmp_path: Path) -> None:
    pods = [session_pod(farm(), a_request(farm())) for _ in range(8)]
    volume = tmp_path / "claim-aiinfn-nfs-home"
    volume.mkdir()
    with ThreadPoolExecutor(8) as threads:
        ends = list(threads.map(lambda pod: run_folders(tmp_path, pod, os.getgid(), pod["metadata"]["name"]), pods))
    assert [one.stderr for one in ends if one.returncode] == []
    assert sorted(one.name for one in volume.iterdir()) == ["shared-lhcb-flashsim", "user-alice"]


def test_members_write_for_one_another() -> None:
    values = farm()
    assert main_of(session_pod(values, a_request(values)))["command"] == [
        *("/bin/sh", "-c", 'umask 0002; exec "$$@"', "workload"),
        "jupyterhub-singleuser",
    ]
    alone = main_of(session_pod(values, a_request(values, folders=())))
    assert alone["command"] == ["jupyterhub-singleuser"]
