"""What on a cluster is not as the values say: quotas, rights and policies that were changed, removed or left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jupyterhub_aiinfn.errors import BackendError

from .capacity import quantity

Object = Mapping[str, Any]
Key = tuple[str, str, str]
PART_OF = {"app.kubernetes.io/part-of": "jupyterhub-aiinfn"}
"""Label of everything that is written from the values: so it can be found, compared and removed together."""
MAX_SHOWN = 60


@dataclass(frozen=True)
class Drift:
    """One thing that is not as the values say."""

    kind: Literal["missing", "changed", "left over"]
    object: str
    """Such as ``ClusterQueue aiinfn-sessions`` or ``Role aiinfn-jobs/aiinfn-service``."""
    path: str = ""
    wanted: str = ""
    found: str = ""

    def __str__(self) -> str:
        if self.kind == "missing":
            return f"{self.object} is not there; apply what `aiinfn kubernetes manifests` writes"
        if self.kind == "left over":
            return f"{self.object} is there, and nothing in the values asks for it; delete it when nothing uses it"
        return f"{self.object}: {self.path} is {self.found} and should be {self.wanted}"


def drift(wanted: Iterable[Object], found: Iterable[Object]) -> list[Drift]:
    """Every difference between the manifests and the objects that the API server has.

    What the API server adds to an object is no difference. Of objects that nobody asked for only those count that were
    once written from values, which their label says.
    """
    there = {_key(one): one for one in found}
    asked = {_key(one): one for one in wanted}
    found_drift = [one for key, manifest in asked.items() for one in _of_object(key, manifest, there.get(key))]
    left = [key for key, one in there.items() if key not in asked and _is_ours(one)]
    return [*found_drift, *(Drift("left over", _name(key)) for key in left)]


def _of_object(key: Key, manifest: Object, found: Object | None) -> Iterator[Drift]:
    if found is None:
        yield Drift("missing", _name(key))
        return
    # The kind and the name are the same already; versions of an API are the server's to choose.
    for part in (name for name in manifest if name not in ("apiVersion", "kind")):
        for path, one, other in _changes(manifest[part], found.get(part), part):
            yield Drift("changed", _name(key), path, _shown(one), _shown(other))


def _changes(wanted: object, found: object, path: str) -> Iterator[tuple[str, object, object]]:
    """The smallest parts that differ."""
    if isinstance(wanted, Mapping) and (isinstance(found, Mapping) or (not wanted and found is None)):
        for key, inner in wanted.items():
            yield from _changes(inner, found.get(key) if isinstance(found, Mapping) else None, f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for index, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _changes(one, other, f"{path}[{_label(one, index)}]")
    elif not _same(wanted, found):
        yield path, wanted, found


def _label(item: object, index: int) -> str:
    """How an entry of a list is called: by its name where it has one."""
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else str(index)


def _same(wanted: object, found: object) -> bool:
    """Equal, also when the same quantity is written in another way (``4000m`` and ``4``), or nothing is left out."""
    if wanted == found or (wanted in ([], "", False) and found is None):
        return True
    try:
        return isinstance(wanted, str) and quantity(wanted, "", "") == quantity(found, "", "")
    except BackendError:
        return False


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = (
        value
        if isinstance(value, str)
        else f"{len(value)} entries"
        if isinstance(value, list | Mapping)
        else str(value)
    )
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= MAX_SHOWN else f"{clean[: MAX_SHOWN - 1]}…"


def _key(one: Object) -> Key:
    head = one.get("metadata")
    head = head if isinstance(head, Mapping) else {}
    return str(one.get("kind")), str(head.get("namespace") or ""), str(head.get("name"))


def _name(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _is_ours(one: Object) -> bool:
    head = one.get("metadata")
    labels = head.get("labels") if isinstance(head, Mapping) else None
    return isinstance(labels, Mapping) and all(labels.get(key) == value for key, value in PART_OF.items())
