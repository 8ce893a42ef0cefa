"""The scripts find their checkout whatever the user's shell has exported: CDPATH has cd look
elsewhere first, and print where it went."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FINDS = 'cd "$(dirname '
WORDS = ("trixie", "true")  # some read their arguments before
SAYS = '\nprintf "<%s>" "$PWD" "${top-}" "${root-}" "${self-}" "${source-}" "${here-}" "${checkout-}"\n'


def scripts():
    """Those that look for the checkout, by their path in it."""
    for where, directories, names in os.walk(TOP):
        directories[:] = [one for one in directories if one not in (".git", "build", "subprojects")]
        for path in (Path(where, name) for name in names):
            if path.is_file() and path.read_bytes().startswith(b"#!/bin/bash") and FINDS in path.read_text():
                yield str(path.relative_to(TOP))


def beginning(name):
    """The script up to the line by which it finds the checkout; then it says what it found."""
    head = []
    for line in (TOP / name).read_text().splitlines():
        head.append(line)
        if FINDS in line:
            return "\n".join(head) + SAYS
    raise AssertionError(name)


class Scripts(unittest.TestCase):
    def found(self, checkout, name, cdpath):
        environment = {k: v for k, v in os.environ.items() if k != "CDPATH"}
        if cdpath is not None:
            environment["CDPATH"] = cdpath
        done = subprocess.run(
            ["bash", name, *WORDS],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def test_programs_are_found_without_a_path(self):
        """bash takes a PATH of its own then, and does not hand it on by itself."""
        for name in ("bench/run", "tests/run", "tools/setup", "tools/fresh-machine", "tools/backends"):
            with self.subTest(name), tempfile.TemporaryDirectory() as scratch:
                script = Path(scratch) / "tools" / "script"
                script.parent.mkdir()
                script.write_text(beginning(name) + "\nenv\n")
                done = subprocess.run(["/bin/bash", script, *WORDS], env={}, capture_output=True, text=True, timeout=60)
                self.assertIn("\nPATH=", "\n" + done.stdout.split(">")[-1], done)

    def test_cdpath_changes_nothing(self):
        names = list(scripts())
        self.assertIn("bench/run", names)
        self.assertIn("tools/setup", names)
        with tempfile.TemporaryDirectory() as scratch:
            checkout, elsewhere = Path(scratch) / "checkout", Path(scratch) / "elsewhere"
            for name in names:
                (elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
                (checkout / name).parent.mkdir(parents=True, exist_ok=True)
                (checkout / name).write_text(beginning(name))
            for name in names:
                expected = self.found(checkout, name, None)
                self.assertIn(str(checkout), expected)
                for cdpath in (".", str(elsewhere)):
                    with self.subTest(name, CDPATH=cdpath):
                        self.assertEqual(self.found(checkout, name, cdpath), expected)


if __name__ == "__main__":
    unittest.main()
