"""A headless browser: where it is, and what it has to be told."""

from __future__ import annotations

import os

from .. import program

NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
OPTIONS = """--headless --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --disable-extensions
--disable-background-networking --disable-component-update""".split()


def find() -> str | None:
    """The path of a browser, or None."""
    return os.environ.get("CHROMIUM") or program.installed(*NAMES)


def missing() -> str | None:
    """Why there can be no browser here."""
    return None if find() else f"none of {', '.join(NAMES)} is installed: tools/setup installs one"
