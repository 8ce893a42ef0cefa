"""What is said of a run before its figures."""

import unittest

import context  # noqa: F401
from lib import remarks, results
from lib.results import Cell, Sample


class Disturbance(unittest.TestCase):
    def test_is_said_from_a_tenth_of_a_cpu_on(self):
        self.assertEqual(remarks.disturbance(0.09), [])
        self.assertIn("other programs used 28 % of a CPU", remarks.disturbance(0.28)[0])


class Notes(unittest.TestCase):
    def cell(self, **more):
        variant = {"name": "a", "label": "the a", "subject": "a", "args": [], "cores": 1}
        samples = [Sample("a", i, 0, 0.0, requests=100, **more) for i in range(3)]
        return Cell("c", {}, variants=[variant], samples=samples)

    def test_nothing_to_say(self):
        self.assertEqual(remarks.cell_notes(self.cell(saturated="server")), [])
        self.assertEqual(remarks.warnings(self.cell().samples), [])

    def test_a_full_generator_is_named_with_its_remedy(self):
        (note,) = remarks.cell_notes(self.cell(saturated="load", advice="use --cores 2"))
        self.assertIn("the a: the load generator was the bottleneck", note)
        self.assertTrue(note.endswith("(it advises: use --cores 2)"))

    def test_unsent_requests_are_laid_to_the_server_or_to_a_busy_machine(self):
        shares = {"load_percent": 50, "slowest": "a"}
        for others, factors, why in (
            (0.0, {}, "the rate of 5,200 requests/s exceeds its capacity"),
            (0.0, shares, "the rate of 5,200 requests/s, 50 % of the measured capacity of the a, exceeds its capacity"),
            (1.7, {}, "other programs used 170 % of a CPU"),
        ):
            found = self.cell(unsent=10, others_share=others)
            found.workload["rate"], found.factors = 5200.0, factors
            self.assertEqual(remarks.cell_notes(found), [f"the a: 30 requests were due but not sent: {why}"])

    def test_parts_that_were_taken_again_are_named(self):
        found = self.cell(retaken=1)
        said = "the a: 3 parts of its samples were taken again, for no request was answered in them"
        self.assertEqual(remarks.cell_notes(found), [said])
        found.samples[0].retaken, found.samples[1].retaken, found.samples[2].invalid = 0, 0, "no request was answered"
        said = "the a: 1 part of its samples was taken again, for no request was answered in it"
        self.assertEqual(remarks.cell_notes(found)[1:], [said])

    def test_memory_of_which_no_ratio_is_made_is_named(self):
        found = self.cell(memory={"user_bytes": 10.0, "kernel_bytes": -5.0})
        found.samples[0].memory = {"user_bytes": 0.0, "kernel_bytes": 7.0}
        found.samples[1].invalid, found.samples[1].memory = "no memory", None
        first = "the a: the user memory of 1 sample was not above 0, as where other memory was given back meanwhile"
        second = "the a: the kernel memory of 1 sample was not above 0"
        notes = remarks.cell_notes(found)[1:]
        self.assertEqual(notes[0], f"{first}: no ratio is made of it")
        self.assertTrue(notes[1].startswith(second), notes)

    def test_invalid_samples_come_first(self):
        found = self.cell(saturated="load")
        found.samples[1].invalid = "2 reset errors"
        first, _ = remarks.cell_notes(found)
        self.assertEqual(first, "INVALID round 2, the a: 2 reset errors")

    def test_others_and_steal_have_remedies(self):
        lines = remarks.warnings(self.cell(others_share=0.3, steal_share=0.1).samples)
        self.assertEqual(len(lines), 2)
        self.assertIn("30 % of a CPU", lines[0])
        self.assertIn("steal", lines[1])

    def test_a_wide_noise_floor_has_a_true_minus(self):
        noise = {"low": 0.959, "median": 1.0, "high": 1.012, "pairs": 6}
        found = remarks.run_warnings(results.Run("compare", "t", "x", noise=noise))
        said = "noisy: the A/A run gave −4.1 to +1.2 %, wider than ±4 %: stop other programs, or use more --pairs"
        self.assertEqual(found, [said])

    def test_when_a_noise_floor_is_wide(self):
        for low, high, pairs, words in (
            (0.985, 1.01, 10, None),
            (0.97, 1.01, 10, "wider than ±2 %"),
            (0.97, 1.01, 6, None),
            (1.01, 1.02, 6, "excludes 0"),
            (0.9, 0.9, 1, "a single A/A pair"),
        ):
            said = remarks.noise_warning({"low": low, "high": high, "pairs": pairs})
            self.assertIn(words or "None", str(said))


class Moved(unittest.TestCase):
    """One server under one load, in several cells of a run."""

    def run_of(self, *costs, again=(), **more):
        cells = []
        for number, cost in enumerate(costs):
            workload = {"name": "plaintext", "connections": 256, **more}
            args = again[number] if again else []
            variant = {"name": "x", "label": "bare", "subject": "io_uring", "args": args, "cores": 1}
            samples = [Sample("x", i, 0, 0.0, requests=9, cpu_ns_per_request=cost) for i in range(3)]
            cells.append(Cell(f"cell-{number}", workload, {}, [variant], samples=samples))
        return results.Run("ablate", "t", "x", cells=cells)

    def test_is_said_with_both_ends(self):
        said = remarks.moved(self.run_of(5000.0, 3200.0, 15000.0))
        self.assertIn("cost 3.2 µs per request (bare in cell-1) and 15 µs (bare in cell-2)", said)
        self.assertIn(said, remarks.run_warnings(self.run_of(5000.0, 3200.0, 15000.0)))

    def test_not_of_a_level_that_stays(self):
        self.assertIsNone(remarks.moved(self.run_of(5000.0, 7400.0)))
        self.assertIsNone(remarks.moved(self.run_of()))

    def test_not_of_what_differs(self):
        self.assertIsNone(remarks.moved(self.run_of(5000.0, 15000.0, again=([], ["--no-direct"]))))
        found = self.run_of(5000.0, 15000.0)
        found.cells[1].workload["connections"] = 64
        self.assertIsNone(remarks.moved(found))

    def test_samples_that_do_not_count_say_nothing(self):
        found = self.run_of(5000.0, 15000.0)
        for sample in found.cells[1].samples:
            sample.invalid = "2 reset errors"
        self.assertIsNone(remarks.moved(found))


if __name__ == "__main__":
    unittest.main()
