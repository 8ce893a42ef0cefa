"""Result files against results.schema.json."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Iterator

from jsonschema import Draft202012Validator, ValidationError, validators

SCHEMA = Path(__file__).resolve().parents[1] / "results.schema.json"
SMALLEST, LARGEST = 1e-30, 10**15  # of numbers but 0: what is made of several of them stays finite


def is_number(_: Any, value: Any) -> bool:
    """No number is NaN, huge or tiny."""
    kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind and (value == 0 or SMALLEST <= abs(value) <= LARGEST)


def is_integer(checker: Any, value: Any) -> bool:
    """2.0 is none."""
    return isinstance(value, int) and is_number(checker, value)


@functools.cache
def _validator(strict: bool) -> Any:
    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"number": is_number, "integer": is_integer})
    additional = Draft202012Validator.VALIDATORS["additionalProperties"]

    def lenient(validator: Any, allowed: Any, *rest: Any) -> Iterator[ValidationError]:
        return iter(()) if allowed is False else additional(validator, allowed, *rest)

    changed = {} if strict else {"additionalProperties": lenient}
    return validators.extend(Draft202012Validator, changed, type_checker=types)(json.loads(SCHEMA.read_text()))


def _described(error: ValidationError) -> str:
    """An error in a few words: the library's repeat a value, however large it is."""
    value, wanted = repr(error.instance), error.validator_value
    value = value if len(value) <= 40 else f"{value[:36]} ..."
    kinds = " or ".join(map(str, wanted)) if isinstance(wanted, list) else wanted
    words = {
        "type": f"is no {kinds}",
        "enum": f"is not one of {wanted}",
        "anyOf": "fits no alternative",
        "minimum": f"is less than {wanted}",
        "minItems": "is too short",
        "maxItems": "is too long",
    }
    known = words.get(error.validator)
    return f"{error.json_path}: {f'{value} {known}' if known else error.message}"


def faults(content: Any, strict: bool = True) -> Iterator[str]:
    """Every way in which content is not what the schema says; entries that it does not know count
    where it is strict."""
    return map(_described, _validator(strict).iter_errors(content))
