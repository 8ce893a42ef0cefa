"""torc-bench for a user whom the password file does not know, without a home, in any locale, with
files whose names are not ASCII, and where nothing can be written."""

import os
import pwd
import shutil
import subprocess
import unittest
from pathlib import Path
from unittest import mock

import context
import test_results
from lib import peers, program, results
from runs import ARGUMENTS, BENCH, TIMEOUT_SECONDS, Runs

NOBODY = 54321  # no user's number, as programs in containers often have
LOCALES = (
    {"LC_ALL": "tr_TR.UTF-8"},
    {"LC_ALL": "C"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"PYTHONUTF8": "0"},  # and no locale at all
)


def is_unknown():
    try:
        pwd.getpwuid(NOBODY)
    except KeyError:
        return True
    return False


class Users(Runs):
    def setUp(self):
        super().setUp()
        self.save(self.json)

    def save(self, path):
        results.save(test_results.run(test_results.cell(a=[5000], b=[5500])), path)

    def bare(self, more):
        """An environment without home and locale."""
        kept = {name: value for name, value in self.environment({}).items() if not name.startswith(("LC_", "LANG"))}
        kept.pop("HOME", None)
        kept.pop("MPLCONFIGDIR", None)
        return {**kept, **more}

    def run_bare(self, *arguments, command=BENCH, environment=None, **more):
        plain = {"capture_output": True, "text": True, "errors": "surrogateescape", "timeout": TIMEOUT_SECONDS}
        return subprocess.run([*command, *arguments], env=self.bare(environment or {}), **plain, **more)

    def is_good(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def give_away(self):
        """Runs what follows as nobody, on a copy of the bench that cannot be written."""
        if os.geteuid() != 0 or not is_unknown():
            self.skipTest("only root can become an unknown user")
        top = self.scratch / "top"
        shutil.copytree(context.TOP / "bench", top / "bench", ignore=shutil.ignore_patterns("results", "__pycache__"))
        for path in (self.scratch, *self.scratch.rglob("*")):
            if top not in (path, *path.parents):
                os.chown(path, NOBODY, NOBODY)
        return {"command": [*BENCH[:-1], str(top / "bench/torc-bench")], "user": NOBODY, "group": NOBODY}

    def test_nobody_compares_and_reports(self):
        as_nobody = self.give_away()
        os.remove(self.json)
        done = self.run_bare("compare", *ARGUMENTS, *self.places, **as_nobody)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.is_good(self.run_bare("report", str(self.json), **as_nobody))
        self.is_good(self.run_bare("report", str(self.json), **as_nobody, environment={"HOME": "/proc"}))
        self.is_good(self.run_bare("answer", str(self.scratch), **as_nobody))
        self.nothing_is_left()

    def test_a_checkout_that_cannot_be_written(self):
        as_nobody = self.give_away()
        done = self.run_bare("compare", *ARGUMENTS, "--build", str(self.build), **as_nobody)
        self.assertEqual(done.returncode, 2)
        self.assertRegex(
            done.stderr, r"^torc-bench: --json: \S+/bench/results/\S+ cannot be written: Permission denied\n$"
        )

    def test_a_directory_that_is_gone_or_no_temporary_one(self):
        gone = self.scratch / "gone"
        gone.mkdir()
        for where in ("", "relative", "/proc/nowhere"):
            done = self.run_bare("doctor", "--build", str(self.build), environment={"TMPDIR": where})
            self.assertNotIn("Traceback", done.stderr)
            self.assertEqual(done.returncode, 0)
        script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
        done = self.run_bare(
            "diff", str(self.json), str(self.json), command=["sh", "-c", script, "sh", str(gone), *BENCH]
        )
        self.is_good(done)

    def test_every_locale(self):
        place = self.scratch / "dürer"
        place.mkdir()
        for locale in LOCALES:
            with self.subTest(locale):
                file = place / "r.json"
                words = ("compare", *ARGUMENTS, "--build", str(self.build), "--json", str(file))
                done = self.run_bare(*words, environment={**locale, "TMPDIR": str(place)})
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(str(file), results.load(file).command)
                self.is_good(self.run_bare("diff", str(file), str(file), environment=locale))
                self.is_good(self.run_bare("answer", str(place), environment=locale))
                os.remove(file)

    def test_python_that_trusts_no_directory(self):
        self.is_good(self.run_bare("diff", str(self.json), str(self.json), environment={"PYTHONSAFEPATH": "1"}))

    def test_a_name_that_is_not_utf_8(self):
        file = Path(os.fsdecode(os.fsencode(self.scratch) + b"/\xe9.json"))
        done = self.run_bare("compare", *ARGUMENTS, "--build", str(self.build), "--json", str(file))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.is_good(self.run_bare("report", str(file), environment={"HOME": str(self.scratch)}))

    def test_what_other_programs_print(self):
        self.assertEqual(program.ask("printf", r"a\351b").text, "a\N{REPLACEMENT CHARACTER}b")
        with mock.patch.dict(os.environ, {"LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr"}):
            self.assertEqual(program.ask("sh", "-c", "echo $LC_ALL").text, "C")

    def test_root_without_an_entry(self):
        with mock.patch.object(os, "geteuid", return_value=0), mock.patch.object(pwd, "getpwuid", side_effect=KeyError):
            self.assertEqual(peers._stay_root("nginx"), "user root;")
            self.assertEqual(peers._stay_root("h2o"), "user: root")
        with mock.patch.object(os, "geteuid", return_value=NOBODY):
            self.assertEqual(peers._stay_root("nginx"), "")


if __name__ == "__main__":
    unittest.main()
