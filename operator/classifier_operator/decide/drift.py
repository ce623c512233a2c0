"""Decide: how a live object differs from the wanted one, by value and by who owns what. No I/O.

Server-side apply knows which manager set which field (`metadata.managedFields`, in the format of
sigs.k8s.io/structured-merge-diff). An edit by hand changes a value that is wanted; an addition by hand is a field that
another manager owns and that nobody here wants; a field of ours that is wanted no more is one that only we own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from classifier_inference.spec.quantity import parse_quantity
from classifier_operator.names import MANAGER

PRUNED = ("spec",)
"""Where additions by others are taken away. Labels and annotations of others are theirs to add."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Drift:
    """What has to be sent to make the live object the wanted one."""

    differences: tuple[Path, ...]
    """Fields for which the wanted object has to be applied."""
    additions: tuple[Path, ...]
    """Fields to remove, as paths into the live object, deepest and last first."""

    def __bool__(self) -> bool:
        return bool(self.differences or self.additions)


def decide_drift(wanted: dict[str, Any], live: dict[str, Any]) -> Drift:
    """Return what differs. Defaults that the API server filled in are no difference, nor is 1000m from 1."""
    ours: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for entry in live["metadata"].get("managedFields", []):
        if not entry.get("subresource"):
            applied_by_us = entry["manager"] == MANAGER and entry["operation"] == "Apply"
            (ours if applied_by_us else others).append(entry.get("fieldsV1", {}))
    stale = [path for fields in ours for path in _unwanted(fields, wanted, live)]
    additions = {
        (root, *path)
        for fields in others
        for root in PRUNED
        for path in _unwanted(fields.get(f"f:{root}", {}), wanted.get(root, {}), live.get(root, {}))
    }
    differences = (*_differences(live, wanted), *stale)
    return Drift(differences, tuple(sorted(additions, key=_removal_order, reverse=True)))


def build_removal(live: dict[str, Any], additions: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return the JSON patch (RFC 6902) that removes the fields, or fails where the object has changed meanwhile."""
    return [_test_version(live), *({"op": "remove", "path": _pointer(path)} for path in additions)]


def build_replacement(wanted: dict[str, Any], live: dict[str, Any], paths: tuple[Path, ...]) -> list[dict[str, Any]]:
    """Return the JSON patch that sets the paths to what is wanted, or fails where the object has changed meanwhile."""
    sets = (("replace" if isinstance(path[-1], int) else "add", path) for path in paths)
    operations = [{"op": kind, "path": _pointer(path), "value": _read(wanted, path)} for kind, path in sets]
    return [_test_version(live), *operations]


def _test_version(live: dict[str, Any]) -> dict[str, Any]:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]}


def _read(value: Any, path: Path) -> Any:
    for part in path:
        value = value[part]
    return value


def _differences(live: Any, wanted: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the topmost paths at which the live value doesn't contain the wanted one."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from _differences(live.get(key), value, (*path, key))
    elif isinstance(wanted, list) and isinstance(live, list) and len(live) == len(wanted):
        for index, pair in enumerate(zip(live, wanted, strict=True)):
            yield from _differences(*pair, (*path, index))
    elif isinstance(wanted, dict | list):
        if wanted or live is not None:
            yield path
    elif not (live == wanted or _same_quantity(live, wanted) or (wanted == "" and live is None)):
        yield path


def _same_quantity(left: Any, right: Any) -> bool:
    if not isinstance(left, str | int) or not isinstance(right, str | int):
        return False
    try:
        return parse_quantity(left) == parse_quantity(right)
    except ValueError:
        return False


def _unwanted(fields: dict[str, Any], wanted: Any, live: Any) -> list[Path]:
    """Return the topmost paths that `fields` (fieldsV1) names, that exist in `live`, and that `wanted` has not."""
    found: list[Path] = []
    for key, below in fields.items():
        step = _step(key, live)
        if step is None:
            continue
        wanted_step = _step(key, wanted)
        if wanted_step is None:
            found.append((step,))
        elif below:
            found.extend((step, *path) for path in _unwanted(below, wanted[wanted_step], live[step]))
        else:
            found.extend((step, extra) for extra in _extra_keys(wanted[wanted_step], live[step]))
    return found


def _extra_keys(wanted: Any, live: Any) -> list[str]:
    """Return what a map has too much that is owned as a whole, such as a Service's selector."""
    both_maps = isinstance(wanted, dict) and isinstance(live, dict)
    return [key for key in live if key not in wanted] if both_maps else []


def _step(key: str, value: Any) -> str | int | None:
    """Return where a fieldsV1 key (`f:name`, `k:{…}` or `v:…`) leads in a value, or None where it leads nowhere."""
    kind, _, name = key.partition(":")
    if kind == "f":
        return name if isinstance(value, dict) and name in value else None
    if kind not in {"k", "v"} or not isinstance(value, list):
        return None
    sought = json.loads(name)
    for index, item in enumerate(value):
        if (item == sought) if kind == "v" else (isinstance(item, dict) and _has_key(item, sought)):
            return index
    return None


def _has_key(item: dict[str, Any], key: dict[str, Any]) -> bool:
    return all(item.get(name, _KEY_DEFAULTS.get(name)) == value for name, value in key.items())


_KEY_DEFAULTS = {"protocol": "TCP"}


def _removal_order(path: Path) -> tuple[tuple[int, str], ...]:
    return tuple((part, "") if isinstance(part, int) else (-1, part) for part in path)


def _pointer(path: Path) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
