"""An image that was built on this machine runs on the node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.tools.cluster.cluster import Cluster
from tests.tools.cluster.errors import ClusterError
from tests.tools.cluster.images import BUSYBOX_PROGRAM

from .conftest import Kubernetes, has_ended

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]
IMAGE = "aiinfn.test/built:1"
CONTAINERFILE = """FROM scratch
COPY busybox /bin/sh
COPY words /words
USER 1000
ENTRYPOINT ["/bin/sh", "-c", "read line < /words; echo $line"]
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What buildah makes of a Containerfile, with its store in a folder of its own."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "Containerfile").write_text(CONTAINERFILE)
    (folder / "words").write_text("built here\n")
    shutil.copyfile(BUSYBOX_PROGRAM, folder / "busybox")
    (folder / "busybox").chmod(0o755)
    store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
    made = folder / "image.tar"
    for command in (
        ["build", "--isolation", "chroot", "--tag", IMAGE, str(folder)],
        ["push", IMAGE, f"docker-archive:{made}:{IMAGE}"],
    ):
        done = subprocess.run(["buildah", *store, *command], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    return made


def test_an_image_of_buildah_is_imported_and_runs(kubernetes: Kubernetes, own: Cluster, archive: Path) -> None:
    own.import_images(archive)
    pod = kubernetes.pod("built", "")
    del pod["spec"]["containers"][0]["command"]
    pod["spec"]["containers"][0] |= {"image": IMAGE, "imagePullPolicy": "Never"}
    kubernetes.client.apply(pod)
    kubernetes.client.until("pod", "built", has_ended, kubernetes.namespace)
    assert kubernetes.client("logs", "built", "--namespace", kubernetes.namespace) == "built here\n"


def test_an_image_that_is_not_there_is_said(kubernetes: Kubernetes) -> None:
    pod = kubernetes.pod("absent", "true")
    pod["spec"]["containers"][0] |= {"image": "aiinfn.test/absent:1", "imagePullPolicy": "Never"}
    kubernetes.client.apply(pod)

    def says_why(found: dict) -> bool:
        states = found["status"].get("containerStatuses", [])
        return [each["state"].get("waiting", {}).get("reason") for each in states] == ["ErrImageNeverPull"]

    kubernetes.client.until("pod", "absent", says_why, kubernetes.namespace)


def test_what_is_no_archive_is_refused_in_a_sentence(own: Cluster, tmp_path: Path) -> None:
    (tmp_path / "nonsense.tar").write_bytes(b"nonsense" * 1000)
    with pytest.raises(ClusterError, match=r"`ctr .*nonsense\.tar` failed on the node"):
        own.import_images(tmp_path / "nonsense.tar")
