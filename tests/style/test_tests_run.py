"""tests/run in a checkout of stand-ins: what ends it, and what it takes for a pass."""

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
# One test passes, whatever becomes of the others.
PASSES = """#!/bin/bash
case $1 in
setup) mkdir -p "$2/meson-logs" ;;
test)
    echo '{"name": "one", "result": "OK"}' >"$3/meson-logs/testlog.json"
    exit "$FAKE_STATUS" ;;
esac
"""


class Checkout(unittest.TestCase):
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
        self.path = f"{self.top / 'path'}:{os.environ['PATH']}"


class Interrupt(Checkout):
    def interrupted(self, step):
        """The steps of a run that is interrupted in this one, and its status."""

        def interruptible():  # what starts the tests may ignore it
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        self.log.write_text("")
        run = subprocess.Popen(
            [self.top / "tests/run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": self.path, "LOG": str(self.log), "FAKE_WAITS": step},
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


class Passes(Checkout):
    def test_meson_has_the_last_word(self):
        """It may end early, as when memory is out: then not all tests have run."""
        (self.top / "path/meson").write_text(PASSES)
        for status, expected in (
            ("0", "1 passed, 0 failed"),
            ("1", "1 passed, 1 failed"),
            ("137", "1 passed, 1 failed"),
        ):
            with self.subTest(status):
                done = subprocess.run(
                    [self.top / "tests/run", "--quick"],
                    capture_output=True,
                    text=True,
                    env={
                        **os.environ,
                        "PATH": self.path,
                        "LOG": str(self.log),
                        "FAKE_WAITS": "",
                        "FAKE_STATUS": status,
                    },
                    timeout=TIMEOUT_SECONDS,
                )
                self.assertEqual(done.stdout.splitlines()[-1], f"{expected}, 0 skipped")
                self.assertEqual(done.returncode, int(status != "0"))


if __name__ == "__main__":
    unittest.main()
