"""Our own container images on the node of the tests' cluster: built once, imported once."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from scripts.container_images.__main__ import CACHE
from scripts.container_images.builders import find_builder
from scripts.container_images.plan import tag
from tests.tools.cluster.cluster import Cluster

ROOT = Path(__file__).parents[2]
SECONDS = 1500
"""For a first build on a slow machine; the second takes seconds."""


@cache
def built(*names: str) -> dict[str, str]:
    """The references of images by name; built and verified when they are not yet (`make images`)."""
    command = [sys.executable, "-m", "scripts.container_images", "--builder", "buildah", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    keys = {name: record["key"] for name, record in json.loads((CACHE / "images.json").read_text()).items()}
    return {name: tag(name, keys[name]) for name in names}


def give_images(own: Cluster, names: Iterable[str]) -> dict[str, str]:
    """The references of images that the node has now."""
    references = built(*names)
    there = own.image_names()
    builder = find_builder("buildah", CACHE)
    for reference in references.values():
        if reference not in there:
            with tempfile.TemporaryDirectory(prefix="aiinfn-image-") as folder:
                archive = Path(folder) / "image.tar"
                builder.run([*builder.program, "push", reference, f"docker-archive:{archive}:{reference}"])
                own.import_images(archive)
    return references
