# SPDX-License-Identifier: MIT
"""self_test - that verdicts, medians and the document follow from figures, on made-up ones."""
import unittest

from . import charts, figures, report, scenarios


def result(**targets):
    """{target: {variant: [figures]}} with what every figure has."""
    complete = lambda one: {"errors": "", "busy": 0.5, "rate": 1000, "units": 10, **one}
    return {"skipped": {}, "seconds": 60, "figures": {
        name: {variant: [complete(one) for one in each] for variant, each in variants.items()}
        for name, variants in targets.items()}}


def costs(*values):
    return {"": [{"us": value} for value in values]}


def verdict(name, made, at=0):
    scenario = scenarios.named(name)
    return figures.judge(scenario.goals[at], scenario, made)


class Figures(unittest.TestCase):
    def test_ratio_is_taken_within_a_round(self):
        # The second round ran on a machine that was twice as slow: nothing of that may be seen.
        made = result(floor=costs(10, 20, 10), penstock=costs(11, 22, 11))
        self.assertAlmostEqual(figures.ratio(made, "penstock", "floor", ""), 1.1)

    def test_ratio_is_judged_with_its_aim(self):
        for value, met, aim in ((1.15, True, True), (1.3, True, False), (1.5, False, False)):
            seen = verdict("small", result(floor=costs(10), penstock=costs(10 * value)))
            self.assertEqual((seen.met, seen.aim), (met, aim), value)

    def test_what_was_not_measured_is_not_met_either(self):
        for name in ("small", "latency", "memory", "streams", "bodies", "workers", "storm"):
            for made in (result(), result(penstock={}), result(floor=costs(1))):
                self.assertIsNone(verdict(name, made).met, name)

    def test_latency_is_compared_above_none(self):
        spans = lambda value: {"": [{"p50_us": value, "p99_us": 2 * value, "p999_us": 3 * value}]}
        self.assertTrue(verdict("latency", result(direct=spans(10), nginx=spans(50), penstock=spans(49))).met)
        self.assertFalse(verdict("latency", result(direct=spans(10), nginx=spans(50), penstock=spans(51)), 1).met)

    def test_memory_has_two_bounds(self):
        made = result(penstock={"": [{"bytes": 4000, "idle_bytes": 5 << 20}]})
        self.assertEqual([verdict("memory", made, at).met for at in (0, 1)], [True, False])

    def test_a_lost_frame_is_not_forgiven(self):
        good = {name: [{"us": 5}, {"us": 5}] for name in ("100", "1000", "10000", "20000")}
        self.assertTrue(verdict("streams", result(penstock=good)).met)
        for fault in ({"errors": "1 x loss"}, {"late": True}):
            bad = {**good, "20000": [{"us": 5}, {"us": 5, **fault}]}
            self.assertFalse(verdict("streams", result(penstock=bad)).met)

    def test_growth(self):
        made = lambda last: result(penstock={"100": [{"us": 5}], "1000": [{"us": 9}], "20000": [{"us": last}]})
        self.assertTrue(verdict("streams", made(5.5), 1).met)
        self.assertFalse(verdict("streams", made(6), 1).met)

    def test_linear(self):
        made = lambda last: result(penstock={name: [{"us": value}] for name, value in zip(
            scenarios.named("bodies").variants, (10, 19, 109, last))})
        self.assertTrue(verdict("bodies", made(1009)).met)
        self.assertFalse(verdict("bodies", made(1500)).met)

    def test_moved(self):
        made = lambda last: result(penstock={"calm": [{"p99_us": 200}], "storm": [{"p99_us": last}]})
        self.assertTrue(verdict("storm", made(5100)).met)
        self.assertFalse(verdict("storm", made(5300)).met)


class Document(unittest.TestCase):
    def test_it_can_be_made_of_little(self):
        made = {"date": "", "revision": "", "targets": {"h2o": {"missing": "not installed"}},
                "machine": {"processor": "", "processors": 2, "memory_gib": 1, "kernel": "", "system": ""},
                "scenarios": {"small": {**result(floor=costs(10), penstock=costs(13)), "skipped": {"h2o": "not installed"}}}}
        text = report.files(made)[report.document]
        self.assertIn("| 1 (10.0 us) | - | - | - | - | 1.30 | <= 1.4, aim 1.2 | met |", text)
        self.assertIn("H2O was not measured: not installed.", text)

    def test_a_fault_is_told(self):
        made = result(floor=costs(10), penstock={"": [{"us": 11, "errors": "3 x loss"}]})
        self.assertIn("3 x loss", report.details(scenarios.named("small"), made))

    def test_charts_cut_what_is_too_long(self):
        picture = charts.bars("a < b", [("penstock", 10, "10 us"), ("portkey", 700, "700 us")])
        self.assertIn("a &lt; b", picture)
        self.assertIn("<path", picture)


def run():
    done = unittest.TextTestRunner(verbosity=0).run(unittest.defaultTestLoader.loadTestsFromName(__name__))
    return 0 if done.wasSuccessful() else 1
