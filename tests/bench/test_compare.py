"""Options and the plan that follows from them; the environment is complete."""

import contextlib
import io
import json
import unittest

import context
import compare
from lib import env


def parse(*arguments):
    return compare.parse_options(["--check-options", *arguments])


class Options(unittest.TestCase):
    def test_wrong_ones_say_so_in_one_line(self):
        for wrong in (["--rounds", "0"], ["--rounds", "x"], ["--seconds", "1.5"], ["--nonsense"],
                      ["--only", "plaintext,nothing"], ["--subjects", "apache"], ["--round", "3"],
                      ["stray"], ["--json"]):  # fmt: skip
            errors = io.StringIO()
            with self.subTest(wrong), contextlib.redirect_stderr(errors):
                with self.assertRaises(SystemExit) as stop:
                    parse(*wrong)
                self.assertEqual(stop.exception.code, 2)
                self.assertEqual(errors.getvalue().count("\n"), 1)
                self.assertIn(wrong[0], errors.getvalue())

    def test_server_arguments_are_words(self):
        self.assertEqual(parse("--server-args", "--depth 64 --no-direct").server_args,
                         ["--depth", "64", "--no-direct"])  # fmt: skip


class Plan(unittest.TestCase):
    def test_all_by_default(self):
        names = [workload.name for workload in compare.plan(parse())]
        self.assertEqual(names, ["plaintext", "pipelined", "static", "delay", "delay"])

    def test_only_and_subjects(self):
        (workload,) = compare.plan(parse("--only", "static", "--subjects", "nginx,epoll"))
        self.assertEqual(workload.subjects, ("epoll", "nginx"))

    def test_workloads_without_a_subject_are_left_out(self):
        names = {w.name for w in compare.plan(parse("--subjects", "floor-uring"))}
        self.assertEqual(names, {"plaintext", "pipelined"})

    def test_rounds_and_seconds_apply_to_all(self):
        for workload in compare.plan(parse("--rounds", "7", "--seconds", "4")):
            self.assertEqual((workload.rounds, workload.seconds), (7, 4))

    def test_quick_is_shorter(self):
        def samples(*arguments):
            return sum(w.rounds * len(w.subjects) for w in compare.plan(parse(*arguments)))

        self.assertLess(samples("--quick"), samples())

    def test_connections(self):
        main = compare.plan(parse("--connections", "64"))[0]
        self.assertEqual(main.connections, 64)


class Environment(unittest.TestCase):
    def test_can_be_written_and_names_what_matters(self):
        found = env.collect(context.TOP, context.TOP)
        json.dumps(found)
        for name in ("kernel", "cpu", "sysctl", "ulimit", "versions", "build", "git"):
            self.assertIn(name, found)
        self.assertTrue(found["cpu"]["allowed"])

    def test_cpu_lists(self):
        self.assertEqual(env.parse_cpu_list("0-2,5"), {0, 1, 2, 5})

    def test_one_cpu_is_not_pinned(self):
        self.assertEqual(env.choose_cpus([3]), ([], []))

    def test_two_cpus_are_told_apart(self):
        server, load = env.choose_cpus([0, 1])
        self.assertEqual((server, load), ([0], [1]))


if __name__ == "__main__":
    unittest.main()
