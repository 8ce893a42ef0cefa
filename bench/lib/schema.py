"""As much of JSON Schema as results.schema.json uses."""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {
    "$schema",
    "$defs",
    "title",
    "$ref",
    "type",
    "enum",
    "anyOf",
    "minimum",
    "required",
    "dependentRequired",
    "properties",
    "additionalProperties",
    "items",
    "minItems",
    "maxItems",
}
SMALLEST, LARGEST = 1e-30, 10**15  # of numbers but 0: what is made of several of them stays finite
Schema = Mapping[str, Any]
Where = tuple[Any, ...]  # the way to a value, put into words only where something is wrong with it


def is_type(value: Any, name: str) -> bool:
    """Whether a value is of a type of JSON Schema. No number is NaN, huge or tiny."""
    if name in ("integer", "number"):
        kinds = int if name == "integer" else (int, float)
        return (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and (value == 0 or SMALLEST <= abs(value) <= LARGEST)
        )
    return isinstance(value, TYPES[name])


def path(where: Where) -> str:
    """$.cells[0].id"""
    return "$" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in where)


def shown(value: Any) -> str:
    """A value, but not all of a large one."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]} ..."


def faults(value: Any, schema: Schema, root: Schema, strict: bool = True) -> Iterator[str]:
    """Every way in which a value is not what the schema says; entries that it does not know count
    where it is strict."""
    return _faults(value, schema, root, (), strict)


def _faults(value: Any, schema: Schema, root: Schema, where: Where, strict: bool) -> Iterator[str]:
    if unknown := set(schema) - KNOWN:
        raise ValueError(f"the schema uses {unknown}")
    if "$ref" in schema:
        schema = root["$defs"][re.fullmatch(r"#/\$defs/(\w+)", schema["$ref"])[1]]
    if "anyOf" in schema and all(
        any(True for _ in _faults(value, one, root, where, strict)) for one in schema["anyOf"]
    ):
        yield f"{path(where)}: {shown(value)} fits no alternative"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path(where)}: {shown(value)} is not one of {schema['enum']}"
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, name) for name in names):
            yield f"{path(where)}: {shown(value)} is no {' or '.join(names)}"
            return
    if "minimum" in schema and is_type(value, "number") and value < schema["minimum"]:
        yield f"{path(where)}: {value} is less than {schema['minimum']}"
    if isinstance(value, list) and not (schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))):
        yield f"{path(where)}: {shown(value)} is too short or too long"
    if isinstance(value, dict):
        yield from _in_object(value, schema, root, where, strict)
    elif isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            yield from _faults(one, schema["items"], root, (*where, i), strict)


def _in_object(value: Mapping[str, Any], schema: Schema, root: Schema, where: Where, strict: bool) -> Iterator[str]:
    needed = dict.fromkeys(schema.get("required", ()))
    for key, more in schema.get("dependentRequired", {}).items():
        needed |= dict.fromkeys(more if key in value else ())
    yield from (f"{path(where)}: {key} is missing" for key in needed if key not in value)
    rest = schema.get("additionalProperties", True)
    for key, one in value.items():
        inner = schema.get("properties", {}).get(key, rest)
        if inner is False and strict:
            yield f"{path(where)}: {key} is not known"
        elif not isinstance(inner, bool):
            yield from _faults(one, inner, root, (*where, key), strict)
