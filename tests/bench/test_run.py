"""bench/run in a checkout of stand-ins: which of its steps follow which."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import context

TIMEOUT_SECONDS = 60
# Says what it is asked for. A step of which FAKE_ENDS says so ends with that status, one that is
# FAKE_WAITS waits for a signal and then ends by itself, as torc-bench does.
STEP = """#!/bin/bash
echo "$*" >>"$LOG"
case " ${FAKE_ENDS:-} " in *" $1="*) ends=${FAKE_ENDS##*"$1="} && exit "${ends%% *}" ;; esac
[ "$1" = "${FAKE_WAITS:-}" ] || exit 0
trap 'exit 130' INT
echo waits >>"$LOG"
while :; do sleep 0.05; done
"""
NOTHING = "#!/bin/sh\n"


class Steps(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.top, self.log = Path(directory.name) / "torc", Path(directory.name) / "log"
        self.log.touch()
        for name, text in (("tools/setup", NOTHING), ("bench/torc-bench", STEP), ("path/meson", NOTHING)):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)
        shutil.copy(context.TOP / "bench/run", self.top / "bench/run")

    def start(self, **fake):
        def interruptible():  # what starts the tests may ignore it
            signal.signal(signal.SIGINT, signal.SIG_DFL)

        path = f"{self.top / 'path'}:{os.environ['PATH']}"
        return subprocess.Popen(
            [self.top / "bench/run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": path, "LOG": str(self.log), **fake},
            start_new_session=True,
            preexec_fn=interruptible,
        )

    def steps(self):
        """Each without its --json FILE and its files."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [" ".join(word for word in line if "/" not in word and word != "--json") for line in lines]

    def test_a_place_of_another_user_is_named(self):
        """Before anything is installed or built."""
        self.top.parent.chmod(0o755)
        (self.top / "build/release").mkdir(parents=True)
        (self.top / "build/release").chmod(0o555)
        done = subprocess.run(
            [self.top / "bench/run"],
            capture_output=True,
            text=True,
            env={**os.environ, "LOG": str(self.log)},
            user=65534 if os.geteuid() == 0 else None,
            timeout=TIMEOUT_SECONDS,
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""), done)
        self.assertIn(f"bench/run: cannot write to {self.top}/build/release: ", done.stderr)
        self.assertEqual((done.stderr.count("\n"), self.steps()), (1, []))

    def test_all_steps(self):
        self.assertEqual(self.start().wait(TIMEOUT_SECONDS), 0)
        compared = "compare --quick io_uring epoll floor nginx"
        self.assertEqual(self.steps(), ["doctor", compared, "sweep --quick", "report", "answer"])

    def test_without_io_uring_nothing_is_asked_of_it(self):
        self.assertEqual(self.start(FAKE_ENDS="doctor=1").wait(TIMEOUT_SECONDS), 0)
        self.assertEqual(self.steps(), ["doctor", "compare --quick epoll floor-epoll nginx", "report", "answer"])

    def test_invalid_samples_do_not_keep_the_rest(self):
        self.assertEqual(self.start(FAKE_ENDS="compare=1").wait(TIMEOUT_SECONDS), 1)
        self.assertEqual(len(self.steps()), 5)

    def test_a_doctor_that_cannot_tell_ends_it(self):
        self.assertEqual(self.start(FAKE_ENDS="doctor=2").wait(TIMEOUT_SECONDS), 2)
        self.assertEqual(self.steps(), ["doctor"])

    def test_an_interrupt_ends_it_in_every_step(self):
        for step in ("doctor", "compare", "sweep", "report", "answer"):
            with self.subTest(step):
                self.log.write_text("")
                run = self.start(FAKE_WAITS=step)
                while not self.log.read_text().endswith("waits\n"):
                    self.assertIsNone(run.poll())
                    time.sleep(0.01)
                os.killpg(run.pid, signal.SIGINT)
                self.assertEqual(run.wait(TIMEOUT_SECONDS), 130)
                *_, last, _ = self.steps()
                self.assertEqual(last.partition(" ")[0], step)


if __name__ == "__main__":
    unittest.main()
