"""embedded.c: a program that has a server for a while, as C, and as C++ where there is a compiler."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

import rig


class Embedded(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.example = rig.Example("embedded", "torc")
        cls.addClassCleanup(cls.example.remove)

    def run_it(self, program):
        done = subprocess.run(
            [str(program), rig.ENGINE],
            capture_output=True,
            text=True,
            timeout=rig.LIMIT_SECONDS,
            env=dict(os.environ, LD_LIBRARY_PATH=str(self.example.libdir)),
        )
        if done.returncode == 3:
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("taken: cannot listen on 127.0.0.1:", done.stdout)
        self.assertIn("answers: 1 2, then 1\n", done.stdout)
        self.assertNotIn("ready", done.stderr)

    def test_in_c(self):
        self.run_it(self.example.program)

    def test_in_cplusplus(self):
        clang = any(Path(word).name.startswith("clang") for word in rig.COMPILER)
        compiler = shutil.which("clang++" if clang else "g++")
        if not compiler:
            self.skipTest("there is no C++ compiler")
        program = self.example.program.with_name("embedded-cc")
        source = rig.HERE / "embedded.c"
        flags = [*rig.WARNINGS, f"-I{self.example.include}", f"-L{self.example.libdir}", "-ltorc", "-pthread"]
        flags += [word for word in rig.COMPILER if "sanitize" in word]
        rig.quiet([compiler, "-std=c++11", "-x", "c++", str(source), "-x", "none", "-o", str(program), *flags])
        self.run_it(program)
