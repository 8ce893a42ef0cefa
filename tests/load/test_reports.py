"""Reports are written where they can be, and files are left alone where they cannot."""

import json
import os
import resource
import subprocess

import rig
from rig import reply


class Reports(rig.Case):
    def test_a_short_run_has_a_duration_and_a_rate(self):
        """All replies may be there before the generator looks for the first time."""
        server = self.each(reply())
        for n in (1, 5, 5, 5, 5, 20):
            done = self.run_load("--requests", n, "--connections", 5, "--watch", os.getpid(), server.url)
            seconds, j = done.json["seconds"], done.json
            self.assertEqual((done.status, j["answered"]), (0, n), done)
            self.assertGreater(seconds, 0)
            self.assertAlmostEqual(j["per_second"] * seconds / n, 1, places=3)
            self.assertEqual(sum(s[0] for s in j["watch"]["slices"]), n)
            # No reply came after the end, but for what a histogram rounds.
            self.assertLessEqual(j["latency_ns"]["raw"]["max"], seconds * 1e9 * 1.01)
            first, requests = done.out.splitlines()[:2]
            self.assertRegex(first, r"^[1-9][0-9]* us, |^[1-9][0-9]*\.[0-9]{3} ms, |^[1-9][0-9]*\.[0-9]{2} s, ")
            some = r"([1-9][0-9.]*|0\.0*[1-9][0-9]*)"  # more than 0
            self.assertRegex(requests, rf"good, {some}/s; {some} [MK]iB/s in, ")

    def test_an_unwritable_report_fails_the_run(self):
        server = self.each(reply())
        with open("/dev/full", "w") as full:
            done = self.run_load("--requests", 1, server.url, stdout=full)
        self.assertEqual(done.status, 1)
        self.assertIn("torc-load: cannot write the report: No space left on device\n", done.err)
        server.requests.clear()
        for option in ("--json", "--hdr"):
            for path, why in (("/dev/full", "No space left on device"), ("/nowhere/x", "No such file or directory")):
                done = self.run_load("--requests", 1, option, path, server.url)
                self.assertEqual(done.status, 1)
                self.assertEqual(done.err, f"torc-load: cannot write {path}: {why}\n")
                # An open fails before any request is sent, a write after the run.
                self.assertEqual(len(server.requests), path == "/dev/full")
                server.requests.clear()

    def test_a_report_beyond_the_limit_of_a_file_is_an_error(self):
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))

        path = self.scratch / "limited.json"
        done = self.run_load("--requests", 1, "--json", path, self.each(reply()).url, preexec_fn=limited)
        self.assertEqual(done.status, 1)
        self.assertEqual(done.err, f"torc-load: cannot write {path}: File too large\n")

    def test_an_unwritable_report_does_not_prevent_the_others(self):
        server, hdr = self.each(reply()), self.scratch / "hdr"
        with open("/dev/full", "w") as full:
            done = self.run_load("--requests", 1, "--hdr", hdr, server.url, stdout=full)
        self.assertEqual((done.status, done.json["requests"]), (1, 1))
        self.assertIn("Total count    =            1]", hdr.read_text())
        done = self.run_load("--requests", 1, "--json", "/dev/full", "--hdr", hdr, server.url)
        self.assertEqual(done.status, 1)
        self.assertIn("Total count    =            1]", hdr.read_text())

    def test_a_run_that_cannot_start_leaves_files_alone(self):
        old, new = self.scratch / "old", self.scratch / "new"
        old.write_text("as it was")
        for options in (["--watch", 2**31 - 1], ["--hdr", "/nowhere/x"]):
            done = self.run_load("--json", old, "--hdr", new, *options, "http://127.0.0.1:1/")
            self.assertEqual(done.status, 1, done)
            self.assertEqual(old.read_text(), "as it was")
            self.assertFalse(new.exists())

    def test_one_file_for_both_reports_is_rejected(self):
        server, link = self.each(reply()), self.scratch / "link"
        self.report.write_text("")
        link.symlink_to(self.report)
        for first, second in (
            (link, link),
            (self.report, link),
            (link, self.scratch / ".." / self.scratch.name / "link"),
        ):
            process = self.start("--quiet", "--requests", 1, "--json", first, "--hdr", second, server.url)
            done = self.finish(process)
            self.assertEqual((done.status, done.out, done.json), (2, "", None), done)
            self.assertEqual(len(done.err.splitlines()), 1)
        self.assertEqual(len(server.requests), 0)

    def test_stdout_by_another_name_has_one_report(self):
        server, file = self.each(reply()), self.scratch / "redirected"
        done = self.finish(self.start("--quiet", "--requests", 1, "--json", "/dev/stdout", server.url))
        self.assertEqual((done.status, json.loads(done.out)["requests"]), (0, 1))
        with open(file, "w") as out:
            process = self.start("--quiet", "--requests", 1, "--json", file, server.url, stdout=out)
            self.assertEqual(self.finish(process).status, 0)
        self.assertEqual(json.loads(file.read_text())["requests"], 1)
        both = ("--json", "/dev/stdout", "--hdr", "/proc/self/fd/1")
        done = self.finish(self.start("--quiet", "--requests", 1, *both, server.url))
        self.assertEqual((done.status, done.out, len(done.err.splitlines())), (2, "", 1), done)

    def test_closed_standard_descriptors_do_not_become_sockets(self):
        """A socket with the number of stdout or stderr would be sent the report."""
        server = self.each(reply())
        for closed in ("<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
            words = [
                rig.LOAD,
                "--engine",
                rig.ENGINE,
                "--no-pin",
                "--connections",
                "4",
                "--duration",
                "1100ms" if closed == "2>&-" else "50ms",
                "--json",
                str(self.report),
                server.url,
            ]
            done = subprocess.run(
                ["sh", "-c", 'exec "$@" ' + closed, "sh", *words],
                capture_output=True,
                text=True,
                timeout=rig.LIMIT_SECONDS,
            )
            self.assertEqual(done.returncode, 0 if ">&-" not in closed.replace("2>&-", "") else 1, done)
            self.assertNotIn("Sanitizer", done.stderr)
        self.assertEqual({first for first, _, _ in server.requests}, {b"GET / HTTP/1.1"})
