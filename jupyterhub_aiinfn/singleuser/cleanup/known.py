"""Folders that are known to be safe to delete, with the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFolder:
    """One kind of folder that can be deleted without losing work."""

    key: str
    title: str
    explanation: str
    """What it is, and what happens when it is gone."""
    paths: tuple[bytes, ...] = ()
    """Where it is, from the home."""
    name: bytes = b""
    """Or how it is called, wherever it is."""


KNOWN = (
    KnownFolder(
        "pip",
        "Downloads of pip",
        "Packages that pip has downloaded; they are downloaded again when needed.",
        (b".cache/pip",),
    ),
    KnownFolder(
        "uv",
        "Downloads of uv",
        "Packages that uv has downloaded; they are downloaded again when needed.",
        (b".cache/uv",),
    ),
    KnownFolder(
        "conda",
        "Downloads of conda and mamba",
        "Packages that conda has downloaded and unpacked; they are downloaded again when needed. "
        "Environments go on working where conda copied or linked them, as it does by default.",
        (b".conda/pkgs", b"miniconda3/pkgs", b"anaconda3/pkgs", b"miniforge3/pkgs", b"micromamba/pkgs"),
    ),
    KnownFolder(
        "huggingface",
        "Models and data of Hugging Face",
        "What the Hugging Face libraries have downloaded; it is downloaded again when needed.",
        (b".cache/huggingface",),
    ),
    KnownFolder(
        "torch",
        "Models of PyTorch",
        "Models that torch.hub has downloaded; they are downloaded again when needed. "
        "A file that you have put into this folder yourself is not.",
        (b".cache/torch",),
    ),
    KnownFolder(
        "npm",
        "Downloads of npm and yarn",
        "Packages that npm and yarn have downloaded; they are downloaded again when needed.",
        (b".npm/_cacache", b".cache/yarn"),
    ),
    KnownFolder(
        "drawing",
        "Caches of programs",
        "Fonts and pictures that matplotlib, fontconfig and others have prepared; they are made again when needed.",
        (b".cache/matplotlib", b".cache/fontconfig", b".cache/thumbnails"),
    ),
    KnownFolder(
        "trash",
        "Trash",
        "What you have deleted in JupyterLab; it takes up room until it is deleted here, "
        "and cannot be brought back then.",
        (b".local/share/Trash",),
    ),
    KnownFolder(
        "checkpoints",
        "Checkpoints of notebooks",
        "A copy of each notebook as it was last saved by hand; JupyterLab makes a new one at the next save. "
        "The notebooks themselves stay.",
        name=b".ipynb_checkpoints",
    ),
    KnownFolder(
        "pycache",
        "Compiled Python",
        "What Python keeps of programs that it has run; it is made again when needed.",
        name=b"__pycache__",
    ),
)

BY_PATH = {path: known for known in KNOWN for path in known.paths}
BY_NAME = {known.name: known for known in KNOWN if known.name}
BY_KEY = {known.key: known for known in KNOWN}
LAST_NAMES = {path.rpartition(b"/")[2] for path in BY_PATH} | set(BY_NAME)
"""Only a folder of one of these names is looked at more closely."""


def known_folder(names: tuple[bytes, ...]) -> KnownFolder | None:
    """The kind of the folder at that path from the home; None for any other."""
    return BY_PATH.get(b"/".join(names)) or BY_NAME.get(names[-1])
