"""What is looked at inside a session, and what follows from what it answers. Decisions only; answers are untrusted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jupyterhub_aiinfn.values.accelerators import Accelerator

from .report import Result

MARK = "aiinfn-accept"
"""Beginning of every line that a session answers, and of the names of people and files that are made for it."""
WORD = "ACCEPT_WORD"
"""The variable that comes from the session's Secret."""
MAX_ANSWER, MAX_ANSWERS = 200, 200
"""Characters of one answer, and answers, that are read (arbitrary)."""
LEAST, MOST = 0.9, 1.15
"""Shares of the stated memory that a device may show (arbitrary): MiB against GB, and what it keeps for itself."""
SCRIPT = """\
trap 'exit 0' TERM
say() { printf 'aiinfn-accept %s %s\\n' "$1" "$2"; }
say uid "$(id -u)"
say capabilities "$(sed -n 's/^CapEff:[^0-9a-f]*//p' /proc/self/status)"
say privileges "$(sed -n 's/^NoNewPrivs:[^0-9]*//p' /proc/self/status)"
say memory "$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)"
[ -e /var/run/secrets/kubernetes.io/serviceaccount/token ] && say account yes || say account no
[ -n "${ACCEPT_WORD:-}" ] && say word yes || say word no
[ -e "$3" ] && say other yes || say other no
kept="$HOME/.aiinfn-accept"
[ -f "$kept" ] && say before "$(cat "$kept")" || say before -
if [ "$1" = write ]; then printf %s "$2" > "$kept" && say wrote yes || say wrote no; else rm -f "$kept"; fi
for file in /dev/nvidia[0-9]* /dev/dri/renderD* /dev/xfpga/* /dev/vfio/[0-9]*; do
  [ -e "$file" ] && say device "$file"
done
if command -v nvidia-smi > /dev/null; then
  say smi yes
  nvidia-smi -L | while read -r line; do say gpu "$line"; done
  nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | while read -r line; do say mib "$line"; done
fi
say done yes
left="$4"
while [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
"""
"""Arguments: ``write`` or ``read``, the word that is left in the home, the other person's home, seconds until it ends
by itself. It needs no more than a shell, so that it runs in every image."""


@dataclass(frozen=True)
class Answers:
    """What a session answered."""

    said: dict[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, key: str) -> str:
        """The first answer of that name; empty when there is none."""
        return next(iter(self.said.get(key, ())), "")

    def all(self, key: str) -> list[str]:
        """All answers of that name."""
        return self.said.get(key, [])

    @property
    def complete(self) -> bool:
        """Whether it has answered everything."""
        return self["done"] == "yes"


def command(*, write: bool, word: str, other_home: str, seconds: int) -> tuple[str, ...]:
    """The command of a session that answers and then waits to be stopped."""
    return ("/bin/sh", "-c", SCRIPT, MARK, "write" if write else "read", word, other_home, str(seconds))


def read_answers(log: str) -> Answers:
    """The answers in a session's log; whatever else an image writes there is left out."""
    said: dict[str, list[str]] = {}
    lines = re.findall(rf"(?m)^{MARK} ([a-z]{{1,20}}) (.*)$", log)
    for key, value in lines[:MAX_ANSWERS]:
        clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value)
        said.setdefault(key, []).append(clean[:MAX_ANSWER].strip())
    return Answers(said)


def device(entry: Accelerator, count: int, found: Answers) -> tuple[Result, str]:
    """Whether exactly the promised devices are seen inside the session that holds them."""
    if entry.type == "gpu" and not str(entry.resource).startswith("nvidia.com/"):
        return Result.not_checked, f"how devices of {entry.resource} are seen is known of NVIDIA's only"
    if entry.type == "qpu":
        return Result.not_checked, "how a QPU is seen in a session is not known"
    if entry.type == "gpu" and not found["smi"]:
        return Result.failed, "there is no nvidia-smi in the session; set up NVIDIA's runtime on the node"
    seen = gpus(found) if entry.type == "gpu" else boards(found)
    if len(seen) == count:
        return Result.passed, f"{count} promised and seen: {', '.join(seen)}"
    shown = ", ".join(seen) or "none"
    return Result.failed, f"{count} promised and {len(seen)} seen ({shown}); look at the device plugin of the node"


def gpus(found: Answers) -> list[str]:
    """The GPUs that nvidia-smi lists; slices, where there are any, in place of their card."""
    lines = [re.sub(r"\s*\(UUID:.*", "", line) for line in found.all("gpu")]
    return [line for line in lines if line.startswith("MIG ")] or [line for line in lines if line.startswith("GPU ")]


def boards(found: Answers) -> list[str]:
    """The FPGA cards: each has a node of its own in one of these folders."""
    return [name for name in found.all("device") if not name.startswith("/dev/nvidia")]


def device_memory(entry: Accelerator, found: Answers) -> tuple[Result, str]:
    """Whether each device has the memory that the values state."""
    if entry.memory_gb is None:
        return Result.not_checked, "the values state no memory_gb"
    slices = [re.search(r"\.(\d+)gb", line) for line in gpus(found) if line.startswith("MIG ")]
    seen = [float(one[1]) for one in slices if one] or [int(one) * 2**20 / 1e9 for one in mebibytes(found)]
    if not seen:
        return Result.not_checked, "no device says how much it has"
    shown = ", ".join(f"{one:.3g}" for one in seen)
    if all(LEAST <= one / entry.memory_gb <= MOST for one in seen):
        return Result.passed, f"{entry.memory_gb:g} GB promised, {shown} GB seen"
    return Result.failed, f"{entry.memory_gb:g} GB promised and {shown} GB seen; correct memory_gb or node_selector"


def mebibytes(found: Answers) -> list[str]:
    """What nvidia-smi says of the memory of each card."""
    return [one for one in found.all("mib") if re.fullmatch(r"[0-9]{1,9}", one)]


def no_device(found: Answers) -> tuple[Result, str]:
    """Whether a session that holds no device sees none."""
    seen = [*gpus(found), *found.all("device")]
    if seen:
        return Result.failed, f"a session that holds no device sees {', '.join(seen[:5])}; look at the node's runtime"
    return Result.passed, "a session that holds no device sees none"


def other_home(found: Answers) -> tuple[Result, str]:
    """Whether the home of another person is out of reach."""
    if found["other"] == "no":
        return Result.passed, "the home of another person who works at the same time is not there"
    return Result.failed, "a session sees the home of another person; look at the volumes of the pod"


def rights(uid: int, found: Answers) -> tuple[Result, str]:
    """Whether the session is its person, with no right beyond."""
    wrong = []
    if found["uid"] != str(uid) or uid == 0:
        wrong.append(f"it runs as the uid {found['uid'] or 'of nobody'} and not as {uid}")
    if found["capabilities"].strip("0"):
        wrong.append(f"it has the capabilities {found['capabilities']}")
    if found["privileges"] != "1":
        wrong.append("its programs can gain rights")
    if found["account"] != "no":
        wrong.append("it has the token of a service account")
    if wrong:
        return Result.failed, f"{'; '.join(wrong)}; look for what changes pods on the cluster"
    return Result.passed, f"uid {uid}, no capability, no way to gain one, no token of a service account"


def secret(found: Answers) -> tuple[Result, str]:
    """Whether the Secret of the session reaches it."""
    if found["word"] == "yes":
        return Result.passed, "the session has the variable of its Secret"
    return Result.failed, "the session lacks the variable of its Secret; look at the pod"


def memory(gib: float, found: Answers) -> tuple[Result, str]:
    """Whether the session may use the memory of its size, and no more."""
    text = found["memory"]
    if not re.fullmatch(r"[0-9]{1,18}", text):
        said = "is without limit" if text == "max" else "says nothing of its limit"
        return (Result.failed if text == "max" else Result.not_checked), f"the memory of the session {said}"
    seen = int(text) / 2**30
    if abs(seen - gib) <= 1 / 512:
        return Result.passed, f"{gib:g} GiB promised and given"
    return Result.failed, f"{gib:g} GiB promised and {seen:.4g} given; look for what changes pods on the cluster"


def home(word: str, found: Answers) -> tuple[Result, str]:
    """Whether the second session found what the first one left in the home."""
    if found["before"] == word:
        return Result.passed, "the second session found what the first one wrote"
    return Result.failed, "the second session did not find what the first one wrote; look at the volume of homes"


def writable(found: Answers) -> tuple[Result, str]:
    """Whether the home can be written."""
    if found["wrote"] == "yes":
        return Result.passed, "the person writes into their home"
    return Result.failed, "the person cannot write into their home; look to whom it belongs"


def held(resource: str, count: int, limits: dict[str, str]) -> tuple[Result, str]:
    """Whether the pod, as the cluster took it, holds these devices and no others."""
    devices = {key: value for key, value in limits.items() if "/" in key}
    if devices == {resource: str(count)}:
        return Result.passed, f"the pod holds {count} of {resource} and nothing else"
    shown = ", ".join(f"{value} of {key}" for key, value in devices.items()) or "nothing"
    return Result.failed, f"the pod holds {shown} and not {count} of {resource}; look for what changes pods"


def node(selector: dict[str, str], name: str, labels: dict[str, str]) -> tuple[Result, str]:
    """Whether it runs on a node of the device."""
    wrong: Sequence[str] = [f"{key}={value}" for key, value in selector.items() if labels.get(key) != value]
    if wrong:
        return Result.failed, f"it runs on {name}, which has not {', '.join(wrong)}; look at the labels of the nodes"
    return Result.passed, f"it runs on {name}"
