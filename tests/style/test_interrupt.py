"""tests/run in a checkout of stand-ins: an interrupt ends it."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 60
# Ends by itself when it is interrupted, and so do ninja and meson.
WAITS = """#!/bin/bash
trap 'exit 2' INT
echo "${0##*/} $1" >>"$LOG"
[ "$FAKE_WAITS" = "${0##*/} $1" ] || exit 0
echo waits >>"$LOG"
while :; do sleep 0.05; done
"""


class Interrupt(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top, self.log = Path(directory.name) / "torc", Path(directory.name) / "log"
        for name in ("tools/setup", "path/meson", "path/ninja"):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(WAITS)
            path.chmod(0o755)
        (self.top / "tests").mkdir()
        shutil.copy(TOP / "tests/run", self.top / "tests/run")

    def interrupted(self, step):
        """The steps of a run that is interrupted in this one, and its status."""

        def interruptible():  # what starts the tests may ignore it
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.log.write_text("")
        path = f"{self.top / 'path'}:{os.environ['PATH']}"
        run = subprocess.Popen(
            [self.top / "tests/run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "LOG": str(self.log), "FAKE_WAITS": step},
            start_new_session=True,
            preexec_fn=interruptible,
        )
        try:
            while not self.log.read_text().endswith("waits\n"):
                self.assertIsNone(run.poll())
                time.sleep(0.01)
            os.killpg(run.pid, signal.SIGINT)
            status = run.wait(TIMEOUT_SECONDS)
            return self.log.read_text().splitlines(), status
        finally:
            if run.poll() is None:
                run.terminate()  # ends what it runs beside, too
                run.wait(TIMEOUT_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)

    def test_ends_it_in_every_step(self):
        for step in ("setup --bench", "meson setup", "ninja -C"):
            with self.subTest(step):
                steps, status = self.interrupted(step)
                self.assertEqual(status, 130)
                self.assertEqual(steps[-2:], [step, "waits"])


if __name__ == "__main__":
    unittest.main()
