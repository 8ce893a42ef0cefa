"""torc-bench lab: the experiments of explain as a page that a person drives."""

import argparse
import re
from typing import Any

from .. import ending
from ..options import DEFAULT_BUILD, directory
from .link import Link, parse

ORIGIN = re.compile(r"http://(127\.0\.0\.1|localhost):\d{1,5}")
SUMMARY = "the experiments of explain as a page in the browser: guess, run, see"


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"takes a port from 0 to 65535, not {text!r}")
    return int(text)


def origin(text: str) -> str:
    if not ORIGIN.fullmatch(text):
        raise argparse.ArgumentTypeError(f"takes http://127.0.0.1:PORT, not {text!r}")
    return text


def add_options(parser: argparse.ArgumentParser) -> None:
    def add(*names: str, **more: Any) -> None:
        parser.add_argument(*names, **more)

    text = "the experiment to open, with its parameters, as the page's address has them: models?connections=500"
    add("link", nargs="?", type=parse, metavar="EXPERIMENT", help=text)
    add("--port", type=port, metavar="N", default=0, help="the port of 127.0.0.1 to serve at (0: any)")
    add("--no-browser", action="store_true", help="print the address, and open nothing")
    text = "run it once and print what the page gets: a JSON object a line"
    add("--run", type=parse, dest="once", metavar="EXPERIMENT", help=text)
    text = "with --run: the page that its events are for, of whose browser it may ask requests; it answers on stdin"
    add("--page", type=origin, metavar="ORIGIN", help=text)
    add("--build", type=directory, metavar="DIR", default=DEFAULT_BUILD, help="the build directory (build/release)")


def run(options: argparse.Namespace) -> int:
    """Until a signal ends it; a run prints its events."""
    link: Link | None = options.link
    if options.once:
        from . import running

        return running.run(options.once, options.build, options.page)
    from . import server  # takes aiohttp, which nothing else does

    raise ending.Ended(server.serve(options.build, options.port, link, not options.no_browser))
