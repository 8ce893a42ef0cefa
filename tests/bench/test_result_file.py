"""The file of a run: its name, what it never replaces, and a disk that is full."""

import contextlib
import errno
import io
import json
import os
import unittest
from pathlib import Path
from unittest import mock

import context  # noqa: F401
from lib import cli, results, session
from lib.subject import SubjectError
from runs import ARGUMENTS, Runs


class Sessions(Runs):
    """What makes a session in this process."""

    def session(self, *arguments, kind="compare"):
        options = cli.parse([kind, *ARGUMENTS, "--build", str(self.build), *arguments])
        return session.Session(kind, options)


class Files(Sessions):
    def results(self):
        """Makes default files go into the scratch directory."""
        (self.scratch / "bench").mkdir()
        patched = mock.patch("lib.session.TOP", self.scratch)
        patched.start()
        self.addCleanup(patched.stop)
        return self.scratch / "bench/results"

    def test_runs_of_one_second_have_files_of_their_own(self):
        where = self.results()
        where.mkdir(parents=True)
        for name in ("compare-now.json", "compare-now-2.json"):
            (where / name).write_text("another's")
        with mock.patch("time.strftime", lambda form: form.replace("%Y%m%d-%H%M%S", "now")):
            with contextlib.redirect_stdout(io.StringIO()), self.session() as mine:
                self.assertEqual(mine.path, where / "compare-now-3.json")
                self.assertTrue(mine.path.exists())
        self.assertFalse(mine.path.exists(), "it took no sample")
        self.assertEqual((where / "compare-now.json").read_text(), "another's")

    def test_a_result_is_not_replaced(self):
        self.assertEqual(self.compare(*ARGUMENTS).returncode, 0)
        before = self.json.read_bytes()
        done = self.compare(*ARGUMENTS)
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"go on with that by --resume {self.json}", done.stderr)
        self.assertEqual(self.json.read_bytes(), before)

    def test_a_result_without_a_sample_is_replaced(self):
        results.save(results.Run("compare", "t", "x"), self.json)
        with self.session("--json", str(self.json)):
            self.assertNotEqual(results.load(self.json).started, "x")
        self.assertTrue(self.json.exists())

    def test_where_no_file_can_be_is_refused_before_measuring(self):
        (self.scratch / "file").touch()
        for path, text in (
            ("/dev/full", "no regular file"),
            (self.scratch, "no regular file"),
            (self.scratch / "file/r.json", "cannot be written: "),
            ("/proc/r.json", "/proc/r.json cannot be written: No such file"),
            (self.scratch / "file", "not a result file, from line 1, column 1 on, and " "is not written over"),
        ):
            with self.subTest(path), self.assertRaisesRegex(SubjectError, f"--json: .*{text}"):
                with self.session("--json", str(path)):
                    self.fail("it began")

    def test_what_is_written_beside_it_would_replace_it(self):
        place = self.scratch / "r.html"
        kept, link = self.scratch / "kept.json", self.scratch / "link.json"
        results.save(results.Run("explain", "t", "x"), kept)
        (self.scratch / "kept.html").symlink_to(kept)
        (self.scratch / "shown.html").write_text("")
        link.symlink_to(self.scratch / "link.html")
        results.save(results.Run("explain", "t", "x"), self.scratch / "link.html")
        conf = self.scratch / "r.conf"
        for words, text in (
            (["explain", "--json", place], f"--json: {place} would be its own page: name it otherwise, as r.json"),
            (["explain", "--json", kept], f"--json: {kept} would be its own page"),
            (["explain", "--json", link], f"--json: {link} would be its own page"),
            (["explain", "--json", self.scratch / "index.json"], "its page would be the index of the pages"),
            (
                ["tune", "--json", conf],
                f"--json: {conf} would be the result file and the configuration: name it r.json",
            ),
            (
                ["tune", "--json", self.json, "--config-file", self.scratch / "tmp/../r.json"],
                f"--json: {self.json} would be the result file and the configuration: name another --config-file",
            ),
        ):
            with self.subTest(words):
                before = {path: path.lstat() for path in self.scratch.iterdir() if path.name != "tmp"}
                done = self.bench_here(*map(str, words), "--build", str(self.build))
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(text, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
                after = {path: path.lstat() for path in self.scratch.iterdir() if path.name != "tmp"}
                self.assertEqual(before.keys(), after.keys())
                for path, one in after.items():
                    self.assertEqual((one.st_ino, one.st_size), (before[path].st_ino, before[path].st_size))

    def test_a_run_that_goes_on_is_not_replaced_by_its_page(self):
        place, words = self.scratch / "r.html", ["b", "explain", "--build", str(self.build)]
        results.save(results.Run("explain", "t", "x", command=words), place)
        done = self.bench_here("explain", "--resume", str(place))
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"--resume: {place} would be its own page", done.stderr)
        self.assertEqual(results.load(place).started, "x")

    def test_what_is_no_file_is_not_read(self):
        with self.assertRaisesRegex(results.ResultsError, "^/dev/full: not a regular file"):
            results.load(Path("/dev/full"))


class FullDisk(Sessions):
    def ended(self, *samples):
        """A run whose file cannot be saved again once it has a cell of these samples."""
        full = mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        self.addCleanup(full.stop)
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            with self.assertRaisesRegex(results.ResultsError, "r.json cannot be written: No space"):
                with self.session("--json", str(self.json)) as run:
                    run.run.cells.append(results.Cell("plaintext", {}, samples=list(samples)))
                    run.save()
                    full.start()
                    run.run.cells.append(results.Cell("json", {}, samples=[results.Sample("epoll", 0, 0, 1.0)]))
                    run.save()
        return said.getvalue()

    def test_keeps_the_cells_before(self):
        said = self.ended(results.Sample("io_uring", 0, 0, 1.0))
        self.assertRegex(said, "^what was saved before is in .*r.json; go on with: .*--resume")
        self.assertEqual([cell["id"] for cell in json.loads(self.json.read_text())["cells"]], ["plaintext"])

    def test_leaves_no_file_without_samples(self):
        self.assertEqual(self.ended(), "")
        self.assertFalse(self.json.exists())


if __name__ == "__main__":
    unittest.main()
