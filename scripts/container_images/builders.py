"""What is asked of a program that builds images: buildah, podman and docker say the same things in other words."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .plan import RUNTIME_USER, ImagesError

NAMES = ("buildah", "podman", "docker")
LAST_LINES = 30


@dataclass(frozen=True)
class Builder:
    """One of :data:`NAMES`; ``store`` is where buildah keeps what it makes (the others have their own place)."""

    name: str
    store: Path

    @property
    def program(self) -> list[str]:
        """The command up to its verb."""
        if self.name != "buildah":
            return [self.name]
        return ["buildah", "--root", str(self.store / "store"), "--runroot", str(self.store / "run")]

    def build_command(
        self, context: Path, tag: str, arguments: Mapping[str, str], secrets: Mapping[str, Path]
    ) -> list[str]:
        """The command that builds a folder."""
        own = {"buildah": ["--isolation", "chroot", "--layers", "--format", "oci"], "podman": ["--format", "oci"]}
        command = [*self.program, "build", *own.get(self.name, []), "--tag", tag]
        command += ["--file", str(context / "Containerfile")]
        for name, value in sorted(arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        for name, path in sorted(secrets.items()):
            command += ["--secret", f"id={name},src={path}"]
        return [*command, str(context)]

    def build(self, context: Path, tag: str, arguments: Mapping[str, str], secrets: Mapping[str, Path]) -> None:
        """Build a folder; raises ImagesError with the last lines of the builder."""
        self.run(self.build_command(context, tag, arguments, secrets), {"DOCKER_BUILDKIT": "1"})

    def has(self, tag: str) -> bool:
        """Whether there is an image of that name."""
        verb = ["inspect", "--type", "image"] if self.name == "buildah" else ["image", "inspect"]
        return subprocess.run([*self.program, *verb, tag], capture_output=True).returncode == 0

    def rename(self, tag: str, others: Sequence[str]) -> None:
        """Give an image these names instead of the one that it has."""
        for other in others:
            self.run([*self.program, "tag", tag, other])
        self.run([*self.program, *(["rmi"] if self.name != "docker" else ["image", "rm"]), tag])

    def inside(self, tag: str, *command: str) -> str:
        """What a command says that runs in a new container of an image, as its user, without a network.

        With buildah, which has no network to withhold from a chroot, it has the machine's.
        """
        if self.name != "buildah":
            network = ["run", "--rm", "--network", "none", "--entrypoint", command[0]]
            return self.run([*self.program, *network, tag, *command[1:]])
        container = self.run([*self.program, "from", "--pull-never", tag]).strip()
        try:
            return self.run(
                [*self.program, "run", "--isolation", "chroot", "--user", RUNTIME_USER, container, "--", *command]
            )
        finally:
            self.run([*self.program, "rm", container])

    def run(self, command: Sequence[str], extra: Mapping[str, str] | None = None) -> str:
        """What a command prints; raises ImagesError with its last lines when it fails."""
        done = subprocess.run(
            command,
            env=os.environ | dict(extra or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            lines = (done.stdout + done.stderr).splitlines()[-LAST_LINES:]
            words = " ".join(command[len(self.program) :])
            said = "\n".join(f"    {line}" for line in lines)
            raise ImagesError(f"`{self.name} {words}` failed with exit code {done.returncode}:\n{said}")
        return done.stdout


def find_builder(wanted: str, store: Path) -> Builder:
    """The builder of that name, or the first that this machine has; raises ImagesError when there is none."""
    if wanted and wanted not in NAMES:
        raise ImagesError(f"{wanted} cannot build images here; it is one of {', '.join(NAMES)}")
    for name in [wanted] if wanted else NAMES:
        if shutil.which(name):
            return Builder(name, store)
    raise ImagesError(
        f"building images needs {wanted or ' or '.join(NAMES)}, and this machine has none; "
        "run `make setup` as root, which installs buildah, or ask the administrator for it"
    )
