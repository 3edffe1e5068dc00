"""What of an event may change: optional fields and values of an enumeration may come, nothing else may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_SAID_FOR_PEOPLE: Final = frozenset({"title", "description", "examples", "deprecated", "$defs"})
_OWN_LOOK: Final = frozenset(
    {"properties", "required", "items", "additionalProperties", "propertyNames", "anyOf", "enum"}
)


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where a JSON Schema is not one that records and readers of the older one can live with; [] when it is."""
    return list(_breaks(old, new, old.get("$defs", {}), new.get("$defs", {}), ""))


def _breaks(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    old_known: Mapping[str, Any],
    new_known: Mapping[str, Any],
    place: str,
) -> Iterator[str]:
    old, new = _plain(old, old_known), _plain(new, new_known)
    for key in sorted((old.keys() | new.keys()) - _OWN_LOOK - _SAID_FOR_PEOPLE):
        if old.get(key) != new.get(key):
            yield f"{place or 'the event'}: {key} was {old.get(key, 'not said')!r}, is {new.get(key, 'not said')!r}"
    yield from _fields(old, new, old_known, new_known, place)
    if gone := [value for value in old.get("enum", ()) if value not in new.get("enum", ())]:
        yield f"{place}: no longer {', '.join(map(repr, gone))}"
    if "enum" in new and "enum" not in old:
        yield f"{place}: was any {old.get('type')}, is one of a few"
    for key in {"items", "additionalProperties", "propertyNames"} & (old.keys() | new.keys()):
        inner_old, inner_new = old.get(key, {}), new.get(key, {})
        if isinstance(inner_old, Mapping) and isinstance(inner_new, Mapping):
            yield from _breaks(inner_old, inner_new, old_known, new_known, f"{place}[]")
        elif inner_old != inner_new:
            yield f"{place}: {key} was {inner_old!r}, is {inner_new!r}"
    choices_old, choices_new = old.get("anyOf", ()), new.get("anyOf", ())
    if len(choices_old) != len(choices_new):
        yield f"{place}: had {len(choices_old) or 1} types, has {len(choices_new) or 1}"
    else:
        for before, after in zip(choices_old, choices_new, strict=True):
            yield from _breaks(before, after, old_known, new_known, place)


def _fields(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    old_known: Mapping[str, Any],
    new_known: Mapping[str, Any],
    place: str,
) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in before.keys() | after.keys():
        where = f"{place}.{name}" if place else name
        if name not in after:
            yield f"{where}: is gone"
        elif name not in before:
            if name in needed_after:
                yield f"{where}: is new and required; only optional fields are added"
        else:
            if name in needed_after - needed_before:
                yield f"{where}: was optional, is required"
            if name in needed_before - needed_after:
                yield f"{where}: was always there, need not be any more"
            yield from _breaks(before[name], after[name], old_known, new_known, where)


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Without references; one constant is an enumeration of one."""
    found = dict(schema)
    if "$ref" in found:
        found = {**known[found.pop("$ref").rsplit("/", 1)[1]], **found}
    if "const" in found:
        found["enum"] = [found.pop("const")]
    return found
