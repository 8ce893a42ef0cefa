"""As much of JSON Schema as results.schema.json uses."""

import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    """Whether a value is of a type of JSON Schema."""
    if name in ("integer", "number"):
        whole = isinstance(value, int) or (name == "number" and isinstance(value, float))
        return whole and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def faults(value, schema, root, where="$"):
    """Every way in which a value is not what the schema says."""
    known = {"$schema", "$defs", "title", "$ref", "type", "enum", "anyOf", "required", "minimum",
             "properties", "additionalProperties", "items"}  # fmt: skip
    if unknown := set(schema) - known:
        raise ValueError(f"the schema uses {unknown}")
    if "$ref" in schema:
        name = re.fullmatch(r"#/\$defs/(\w+)", schema["$ref"])[1]
        return faults(value, root["$defs"][name], root, where)
    found = []
    if "anyOf" in schema and all(faults(value, one, root) for one in schema["anyOf"]):
        found.append(f"{where}: fits no alternative")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is not one of {schema['enum']}")
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(is_type(value, name) for name in names):
            return [*found, f"{where}: {value!r} is no {' or '.join(names)}"]
    if "minimum" in schema and is_type(value, "number") and value < schema["minimum"]:
        found.append(f"{where}: {value} is less than {schema['minimum']}")
    if isinstance(value, dict):
        found += [f"{where}: {key} is missing" for key in schema.get("required", ())
                  if key not in value]  # fmt: skip
        rest = schema.get("additionalProperties", True)
        for key, one in value.items():
            inner = schema.get("properties", {}).get(key, rest)
            if inner is False:
                found.append(f"{where}: {key} is not known")
            elif inner is not True:
                found += faults(one, inner, root, f"{where}.{key}")
    if isinstance(value, list) and "items" in schema:
        for i, one in enumerate(value):
            found += faults(one, schema["items"], root, f"{where}[{i}]")
    return found
