"""embed.py OUTPUT FILE...: writes C that holds the files of the page, for page_routes.c: those of a kind as one."""

import hashlib
import re
import sys
from pathlib import Path

INDENT = {".html": 2, ".css": 4, ".js": 4}  # spaces
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "?": "\\?", "\t": "\\t", "\n": "\\n"})


def literals(text):
    """A string of C, a line of text in each line; what is not ASCII as bytes in octal."""
    for line in text.splitlines(keepends=True):
        escaped = line.translate(ESCAPES)
        yield '"' + "".join(c if ord(c) < 128 else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped) + '"'


def tabbed(text, width):
    """Indented with tabs, which are fewer bytes to send."""
    return re.sub(r"^ +", lambda m: "\t" * (len(m[0]) // width) + " " * (len(m[0]) % width), text, flags=re.MULTILINE)


def uncommented(text):
    """Without the lines that are a comment and no more, which stay in the source."""
    return re.sub(r"^ *// .*\n", "", text, flags=re.MULTILINE)


def entry(suffix, files):
    text = "".join(path.read_text(encoding="utf-8") for path in files if path.suffix == suffix)
    if suffix == ".js":
        text = uncommented(text)
    data = tabbed(text, INDENT[suffix]).encode()
    route = "/" if suffix == ".html" else f"/page{suffix}"
    kind = f"{TYPES[suffix]}; charset=utf-8"
    tag = hashlib.sha256(data).hexdigest()[:16]
    body = "\n     ".join(literals(data.decode()))
    return f'    {{"{route}", "{kind}", "\\"{tag}\\"", {len(data)},\n     {body}}},\n'


def main():
    output, *files = map(Path, sys.argv[1:])
    entries = "".join(entry(suffix, files) for suffix in TYPES)
    output.write_text(
        f'#include "lab/page_routes.h"\n\nconst struct page_file page_files[] = {{\n{entries}    {{0}},\n}};\n'
    )


main()
