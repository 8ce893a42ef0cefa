"""Result files against results.schema.json."""

import functools
import json
from pathlib import Path
from typing import Any, Iterator

from jsonschema import Draft202012Validator, ValidationError, validators

SCHEMA = Path(__file__).resolve().parents[1] / "results.schema.json"
COUNT = {"type": "integer", "minimum": 0}
SMALLEST, LARGEST = 1e-30, 10**15  # of numbers but 0: what is made of several of them stays finite


def is_number(_: Any, value: Any) -> bool:
    """No number is NaN, huge or tiny."""
    kind = isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind and (value == 0 or SMALLEST <= abs(value) <= LARGEST)


def is_integer(checker: Any, value: Any) -> bool:
    """2.0 is none."""
    return isinstance(value, int) and is_number(checker, value)


def _items(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """As the library does, but for plain counts, of which histograms have tens of thousands."""
    if wanted == COUNT and isinstance(value, list) and all(is_integer(None, one) and one >= 0 for one in value):
        return iter(())
    return Draft202012Validator.VALIDATORS["items"](validator, wanted, value, schema)


def _known(validator: Any, allowed: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    """As the library does, but that entries which the schema does not know are let be."""
    if allowed is False:
        return iter(())
    return Draft202012Validator.VALIDATORS["additionalProperties"](validator, allowed, value, schema)


@functools.cache
def _validator(strict: bool) -> Any:
    types = Draft202012Validator.TYPE_CHECKER.redefine_many({"number": is_number, "integer": is_integer})
    changed = {"items": _items} if strict else {"items": _items, "additionalProperties": _known}
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
