"""torc-bench, with experiments that are as short as they get: what lab_browser.py's page runs."""

import sys

import context  # noqa: F401
from lib import cli, subjects
from lib.lab import overload
from lib.labpage.running import Watched

SECONDS = 1.0

subjects.WARMUP["java"] = SECONDS  # its figures are not looked at
overload.SHORT = overload.Spike(SECONDS, SECONDS, SECONDS, ("adaptive",))
Watched.seconds = lambda stage, whole: SECONDS

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
