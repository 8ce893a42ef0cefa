"""The source of an experiment's handlers: of torc-lab, and the same in Node.js."""

import re
from pathlib import Path
from typing import Mapping, Sequence

from ..options import TOP

NODE = Path(__file__).with_name("handlers.js")
# An experiment's handlers: the file of src/lab, the functions in it, and those of handlers.js.
HANDLERS: Mapping[str, Sequence[tuple[str, Sequence[str], Sequence[str]]]] = {
    "client": [("wait_routes.c", ["delay"], ["delay"])],
    "models": [("wait_routes.c", ["delay"], ["delay"])],
    "compute": [("work_routes.c", ["run", "derive", "crypto"], ["crypto"])],
    "faster": [("wait_routes.c", ["delay"], ["delay"]), ("work_routes.c", ["derive", "crypto"], ["crypto"])],
    "sequence": [
        ("fetch_routes.c", ["fetch_one", "fetch"], ["each", "fetchAll"]),
        ("file_routes.c", ["read_one", "file"], ["file"]),
    ],
    "files": [("file_routes.c", ["read_one", "file"], ["each", "file"])],
    "retries": [("work_routes.c", ["derive", "crypto"], ["crypto"])],
    "proxy": [("wait_routes.c", ["delay"], ["delay"])],
    "stack": [("stack_routes.c", ["ask_database", "make_call", "stack"], ["stack"])],
    "concurrent": [("wait_routes.c", ["delay"], ["delay"]), ("work_routes.c", ["derive", "crypto"], ["crypto"])],
    "overload": [("work_routes.c", ["derive", "crypto"], ["crypto"])],
    "abuse": [("work_routes.c", ["derive", "crypto"], ["crypto"])],
    "database": [("pg_routes.c", ["ask_row", "db"], ["each", "db"])],
}


def c_function(text: str, name: str) -> str:
    """With the comment above it."""
    found = re.search(
        rf"(?m)^(/\*(?:(?!\*/)[\s\S])*\*/\n)?(static )?\w[\w *]*\b{name}\([^;{{]*\)\n\{{[\s\S]*?^\}}$", text
    )
    return found[0] if found else ""


def js_function(text: str, name: str) -> str:
    found = re.search(rf"(?m)^(// .*\n)*(async )?function {name}\([\s\S]*?^\}}$", text)
    return found[0] if found else ""


def of(name: str) -> list[dict[str, str]]:
    """Of an experiment; what is not there is left out."""
    shown = []
    node = NODE.read_text()
    for file, functions, others in HANDLERS.get(name, ()):
        path = TOP / "src/lab" / file
        text = path.read_text() if path.is_file() else ""
        c = "\n\n".join(filter(None, (c_function(text, one) for one in functions)))
        shown.append({"file": f"src/lab/{file}", "c": c, "node": "\n\n".join(js_function(node, one) for one in others)})
    return shown
