"""What is built in which order, and the key of each image: a hash of all that it is made from. Decisions only."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "localhost/aiinfn"
"""Where images are named before somebody pushes them to a registry."""
RUNTIME_USER = "1000:1000"
COMPILERS = ("gcc", "g++", "cc", "c++", "clang", "cargo", "rustc", "go")
UNWANTED = (*COMPILERS, "node", "npm", "yarn", "corepack")
"""Programs that a result may not hold."""


class ImagesError(Exception):
    """A sentence that says what failed and what to do."""


@dataclass(frozen=True)
class Image:
    """One image: the folder of its name in ``images``, and what it stands on."""

    name: str
    parent: str = ""
    """The image that it is made from besides the base; empty for one that needs only the base."""
    wheel: bool = False
    """Whether our package is installed in it."""
    verify: tuple[str, ...] = ("/opt/aiinfn/verify",)
    """The programs that prove, inside it, that it works."""
    promised: tuple[str, ...] = ()
    """Programs of :data:`UNWANTED` that people need in it all the same."""

    def forbidden(self) -> tuple[str, ...]:
        """The programs that must not be found in it."""
        return tuple(program for program in UNWANTED if program not in self.promised)


LAB_VERIFY = "/opt/aiinfn/lab/verify"
BOTH = ("/opt/aiinfn/verify", LAB_VERIFY)
IMAGES = (
    Image("hub", wheel=True),
    Image("service", wheel=True),
    Image("lab", wheel=True, verify=(LAB_VERIFY,)),
    Image("python", "lab", verify=BOTH),
    Image("quantum", "lab", verify=BOTH),
    Image("fpga", "lab", verify=BOTH, promised=("gcc", "g++", "cc", "c++")),
    Image("gpu", "lab", verify=BOTH),
)
"""In the order in which they are built: an image comes after its parent."""


def chosen(names: Iterable[str]) -> list[Image]:
    """The images to build for these names (all when there are none), parents included, in order.

    Raises ImagesError when a name is not one of an image.
    """
    known = {image.name: image for image in IMAGES}
    wanted = set(names) or set(known)
    if unknown := sorted(wanted - set(known)):
        raise ImagesError(f"there is no image {', '.join(map(repr, unknown))}; the images are {', '.join(known)}")
    wanted |= {known[name].parent for name in wanted} - {""}
    return [image for image in IMAGES if image.name in wanted]


def key_of(files: Mapping[str, bytes], *others: str) -> str:
    """The key of what is made from these files and of other things that change the result."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{len(name)}:{name}{len(content)}:".encode() + content)
    for other in others:
        digest.update(f"{len(other)}:{other}".encode())
    return digest.hexdigest()[:16]


def files_of(folder: Path) -> dict[str, bytes]:
    """What an image's folder puts into its build; what only people read is left out."""
    left_out = {"README.md", "requirements.in"}
    paths = [path for path in folder.iterdir() if path.is_file() and path.name not in left_out]
    return {path.name: path.read_bytes() for path in paths}


def files_of_wheel(wheel: Path) -> dict[str, bytes]:
    """What our package puts into an image: all but the folders of images, which the builds of images take out again."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith(".dist-info/RECORD")]
        return {name: archive.read(name) for name in names if "/share/jupyterhub-aiinfn/images/" not in name}


def tag(image: str, version: str) -> str:
    """The full name of an image."""
    return f"{PREFIX}/{image}:{version}"


def pip_configuration(listed: str, certificates: str) -> str:
    """What pip is told in a build, from what ``pip config list`` says on the machine.

    Only how to reach the index: files of the machine other than its certificates are not there in a build.
    """
    kept = {"index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries"}
    found: dict[str, str] = {"cert": certificates} if certificates else {}
    for line in listed.splitlines():
        option, _, value = line.partition("=")
        name = option.rpartition(".")[2]
        if name in kept:
            found["timeout" if name == "default-timeout" else name] = value.strip("'\"")
    return "".join(["[global]\n", *(f"{name} = {value}\n" for name, value in sorted(found.items()))])


def question(image: Image) -> str:
    """A shell program that prints, inside an image, what is wrong with it, and its size in bytes at the end."""
    programs = " ".join(image.forbidden())
    return (
        f'for program in {programs}; do command -v "$program" > /dev/null && echo "it holds $program"; done; '
        'test "$(id -u)" -ne 0 || echo "it runs as root"; '
        "for file in /etc/pip.conf /run/certificates.crt ~root/.config/pip ~root/.cache/pip; do "
        'test ! -e "$file" || echo "it holds $file"; done; '
        "for file in /opt/aiinfn/*.whl /opt/wheels /opt/installer; do "
        'test ! -e "$file" || echo "it holds $file"; done; '
        "du --summarize --one-file-system --bytes / 2> /dev/null | cut -f 1"
    )
