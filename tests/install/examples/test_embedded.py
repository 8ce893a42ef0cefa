"""embedded.c: a program that tests its own service, without sockets and under load."""

import os
import subprocess
import unittest

import rig


class Embedded(unittest.TestCase):
    def test_it(self):
        example = rig.Example("embedded", "torc")
        self.addCleanup(example.remove)
        done = subprocess.run(
            [str(example.program), rig.ENGINE],
            capture_output=True,
            text=True,
            timeout=rig.LIMIT_SECONDS,
            env=dict(os.environ, LD_LIBRARY_PATH=str(example.libdir)),
        )
        if done.returncode == 3:
            self.skipTest(done.stderr.strip())
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)
        self.assertNotIn("ready", done.stderr)
