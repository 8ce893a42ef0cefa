"""Feature sets that respect dependencies, and the worth of planted features."""

import json
import unittest

import context  # noqa: F401
from fake_session import FEATURES as NAMES
from fake_session import HELP, FakeSession, parse
from lib import ablate, features, results, words
from lib.page import kind_ablate
from lib.verdict import Verdict

# Nanoseconds that each feature adds where it is in effect.
WORTH = {"defer-taskrun": -400, "multishot": -300, "direct": +150, "buf-ring": -100}


def on_of(options):
    return {name for name in NAMES if f"--{name}" in options}


def kernel(*lacking):
    """A --check that leaves out what the kernel lacks and what the engine does not use."""
    return lambda options: features.effective(on_of(options) - set(lacking))


def cost(variant, workload):
    on = features.effective(on_of(variant.args))
    return 6500.0 + sum(WORTH.get(name, 0) for name in on)


def ablated(*arguments, probe=None, cost=cost, **more):
    session = FakeSession(parse(ablate, *arguments), cost, **more)
    ablate.measure(session, session.options, NAMES, probe or kernel())
    json.dumps(session.run.extra, allow_nan=False)
    return session


def effects(session):
    return {(one["feature"], one["context"]): one for one in session.run.extra["effects"]}


class Features(unittest.TestCase):
    def test_names_come_from_help(self):
        self.assertEqual(features.known(HELP), NAMES)
        self.assertEqual(features.known("Usage: something else\n"), [])

    def test_flags_and_lines(self):
        self.assertEqual(features.flags(["direct", "no-sqarray"], {"direct"}), ("--direct", "--sqarray"))
        self.assertEqual(features.flags(["direct", "no-sqarray"], {"no-sqarray"}), ("--no-direct", "--no-sqarray"))
        self.assertEqual(features.setting("no-sqarray", True), ("sqarray", "no"))
        self.assertEqual(features.setting("direct", False), ("direct", "no"))

    def test_effective(self):
        self.assertEqual(features.effective({"defer-taskrun", "coop-taskrun"}), {"coop-taskrun"})
        self.assertEqual(features.effective(set(NAMES)), set(NAMES) - {"coop-taskrun"})
        self.assertEqual(features.effective({"multishot"}), set())

    def test_available_sees_hidden_ones(self):
        self.assertEqual(features.available(NAMES, kernel()), set(NAMES))
        left = set(NAMES) - {"single-issuer", "defer-taskrun", "coop-taskrun"}
        self.assertEqual(features.available(NAMES, kernel("single-issuer", "coop-taskrun")), left)


class Pairs(unittest.TestCase):
    def test_every_pair_differs_in_its_feature_alone(self):
        for lacking in ((), ("defer-taskrun",), ("buf-ring", "multishot"), ("coop-taskrun",)):
            full = features.available(NAMES, kernel(*lacking))
            found = ablate.pairs(NAMES, full)
            self.assertEqual(len(found), 2 * len(full))
            for pair in found:
                with self.subTest(pair.id, lacking=lacking):
                    one, other = map(features.effective, pair.sides)
                    swapped = {"coop-taskrun"} if pair.feature == "defer-taskrun" else set()
                    self.assertEqual((one ^ other) - swapped, {pair.feature})
                    self.assertIn(pair.feature, one)

    def test_dependencies_are_named(self):
        found = {pair.id: pair for pair in ablate.pairs(NAMES, set(NAMES))}
        self.assertEqual(
            found["single-issuer out of full"].names,
            ("full without defer-taskrun", "full without defer-taskrun and single-issuer"),
        )
        self.assertEqual(found["multishot into bare"].names, ("bare with buf-ring and multishot", "bare with buf-ring"))
        self.assertEqual(found["direct into bare"].names, ("bare with direct", "bare"))
        self.assertIn("which both sides lack", found["coop-taskrun out of full"].note)
        self.assertIn("takes its place", found["defer-taskrun out of full"].note)
        self.assertIn("needs it", found["buf-ring out of full"].note)
        self.assertIsNone(found["direct out of full"].note)


class Findings(unittest.TestCase):
    def test_planted_worth_and_cost(self):
        session = ablated()
        found = effects(session)
        for name, worth in WORTH.items():
            for context_ in (ablate.OUT, ablate.INTO):
                one = found[name, context_]
                with self.subTest(one["cell"]):
                    self.assertEqual(one["verdict"], "saves" if worth < 0 else "costs")
                    self.assertLess(one["us"]["low"], worth / 1000)
                    self.assertGreater(one["us"]["high"], worth / 1000)
        self.assertLess(found["multishot", ablate.OUT]["ratio"]["high"], 1)
        text = "\n".join(session.run.conclusions)
        said = r"\ndirect costs \d\.\d % CPU per request \(\d\.\d to \d\.\d %\), taken out of full\."
        self.assertRegex(text, said)
        self.assertRegex(
            session.run.conclusions[0], r"^The full set saves \d+\.\d % CPU per request \(.*\), compared with"
        )
        self.assertIn("may look real by chance", session.run.conclusions[-1])
        self.assertEqual(session.expected, session.measured)

    def test_a_row_for_each_feature(self):
        session = ablated()
        extra = session.run.extra
        rows = ablate.rows(session.run)
        self.assertEqual([row[0] for row in rows], [*extra["full"], "all, full ÷ bare"])
        for row in rows:
            self.assertEqual(len(row), len(ablate.HEADER))
            self.assertRegex(row[1], r"^\d\.\d{3} \(\d\.\d{3}–\d\.\d{3}\)$")

    def test_sendfile_where_files_are_asked_for(self):
        def cheaper(variant, workload):
            return cost(variant, workload) - (700 if "--sendfile-from" in variant.args else 0)

        session = ablated("--workload", "static-large-1m", cost=cheaper)
        one = effects(session)["sendfile", ablate.ADDED]
        self.assertEqual((one["verdict"], one["against"]), ("saves", "full without direct"))
        self.assertIn("direct excludes it", one["note"])
        self.assertLess(one["ratio"]["high"], 1)
        self.assertEqual(ablate.rows(session.run)[-2][0], "sendfile, put into full")
        shown = kind_ablate.table(session.run.extra).rows
        self.assertIn(["sendfile", ablate.ADDED], [row[:2] for row in shown])
        for start in ("bare", "full"):
            self.assertNotIn("sendfile", [row.label for row in kind_ablate.steps(session.run.extra, start)])
        self.assertEqual(session.expected, session.measured)
        self.assertNotIn(("sendfile", ablate.ADDED), effects(ablated("--workload", "plaintext")))

    def test_what_the_noise_covers_says_so(self):
        noise = {"metric": results.COST, "low": 0.9, "median": 1, "high": 1.1, "pairs": 10}
        ratio = {"median": 0.98, "low": 0.97, "high": 0.99, "pairs": 10}
        said = "direct saves 2.0 % CPU per request (1.0 to 3.0 %), taken out of full, within the A/A noise"
        verdict = Verdict.of(results.COST, ratio, noise)
        text = words.say("effect", "direct", verdict, "taken out of full")
        self.assertEqual(text, f"{said} (−10.0 to +10.0 %).")

    def test_no_effect(self):
        session = ablated(cost=lambda variant, workload: 6000.0)
        none = [one for one in session.run.extra["effects"] if one["verdict"] == "none"]
        self.assertGreaterEqual(len(none), 11)  # of 14; chance may give about one
        said = r"No detectable difference \(within ±\d\.\d %\), taken out alone: "
        self.assertRegex("\n".join(session.run.conclusions), said)

    def test_missing_features_are_named_and_skipped(self):
        session = ablated(probe=kernel("no-sqarray", "defer-taskrun"))
        self.assertEqual([one["feature"] for one in session.run.extra["missing"]], ["defer-taskrun", "no-sqarray"])
        self.assertNotIn("no-sqarray out of full", [name for name, _, _ in session.calls])
        self.assertEqual(effects(session)["coop-taskrun", ablate.OUT]["against"], "full")
        self.assertIn(
            "Not measured, because this kernel lacks them: defer-taskrun, no-sqarray.", session.run.conclusions
        )

    def test_a_server_that_takes_another_set_is_not_measured(self):
        session = ablated(probe=lambda options: features.effective(on_of(options) | {"direct"}))
        found = {one["verdict"] for one in session.run.extra["effects"] if one["feature"] == "direct"}
        self.assertEqual(found, {"unmeasured"})

    def test_a_cell_of_invalid_samples(self):
        session = ablated(cost=lambda v, w: None if v.name == "bare with direct" else cost(v, w))
        self.assertEqual(effects(session)["direct", ablate.INTO]["verdict"], "unmeasured")
        self.assertIsNone(effects(session)["direct", ablate.INTO]["us"])
        self.assertIn("Not measured: direct into bare.", session.run.conclusions)

    def test_chance_is_said(self):
        session = ablated("--pairs", "3")
        self.assertIn("about 1 may look real", session.run.conclusions[-1])

    def test_resumes_to_the_same_findings(self):
        whole = ablated()
        broken = FakeSession(parse(ablate), cost)
        broken.stop_after = 100
        with self.assertRaises(KeyboardInterrupt):
            ablate.measure(broken, broken.options, NAMES, kernel())
        broken.stop_after = 10**9
        ablate.measure(broken, broken.options, NAMES, kernel())
        self.assertEqual(broken.run.extra, whole.run.extra)


if __name__ == "__main__":
    unittest.main()
