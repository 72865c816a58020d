# SPDX-License-Identifier: MIT
"""figures - what rounds come to: medians, ratios within one round, and whether a goal is reached.

A result is what runner.run gives. Nothing here measures; all can be computed again from the file of results.
"""
import dataclasses
import statistics


def rounds(result, target, variant):
    return result["figures"].get(target, {}).get(variant, [])


def median(result, target, variant, key):
    """The median over the rounds that have this figure, or None."""
    values = [one[key] for one in rounds(result, target, variant) if key in one]
    return statistics.median(values) if values else None


def complaints(result, target, variant=None):
    """What was wrong with a target's runs, each thing once."""
    found = []
    for name, figures in result["figures"].get(target, {}).items():
        for one in figures:
            text = one["errors"] or ("did not keep pace" if one.get("late") else "")
            if text and (variant is None or variant == name) and text not in found:
                found.append(text)
    return found


def ratios(result, target, base, variant, key="us"):
    """target / base of each round in which both were measured."""
    pairs = zip(rounds(result, target, variant), rounds(result, base, variant))
    return [one[key] / other[key] for one, other in pairs if key in one and key in other and other[key] > 0]


def ratio(result, target, base, variant, key="us"):
    found = ratios(result, target, base, variant, key)
    return statistics.median(found) if found else None


@dataclasses.dataclass
class Verdict:
    text: str  # the figure, in words
    met: bool = None  # None: not measured
    aim: bool = None

    def word(self):
        if self.met is None:
            return "not measured"
        return "**not met**" if not self.met else "met, and the aim" if self.aim else "met"


def judge(goal, scenario, result):
    """Whether penstock reaches a goal."""
    if "penstock" not in result["figures"]:
        return Verdict("")
    verdict = judges[goal.kind](goal, list(scenario.variants), result)
    return verdict or Verdict("")


def judge_ratio(goal, names, result):
    value = ratio(result, "penstock", goal.against, names[0], goal.figure)
    if value is None:
        return None
    words = f"{value:.2f}" if goal.against == "floor" else f"{value:.2f} of {goal.against}"
    value = round(value, 2)
    return Verdict(words, value <= goal.limit, goal.aim is not None and value <= goal.aim)


def judge_added(goal, names, result):
    ours, theirs, direct = (median(result, target, names[0], goal.figure) for target in ("penstock", goal.against, "direct"))
    if None in (ours, theirs, direct):
        return None
    return Verdict(f"{ours - direct:.0f} us, {goal.against} {theirs - direct:.0f} us", ours <= theirs * goal.limit)


def judge_most(goal, names, result):
    value = median(result, "penstock", names[0], goal.figure)
    return None if value is None else Verdict(kib(value), value <= goal.limit)


def judge_whole(goal, names, result):
    many = [name for name in names if int(name) >= 10000]
    if not all(rounds(result, "penstock", name) for name in many):
        return None
    wrong = [text for name in many for text in complaints(result, "penstock", name)]
    return Verdict("; ".join(wrong) or "none lost", not wrong)


def judge_growth(goal, names, result):
    few, many = names[0], names[-1]
    growth = {}
    for target in ("penstock", "floor"):
        first, last = median(result, target, few, "us"), median(result, target, many, "us")
        growth[target] = last / first if first and last else None
    if growth["penstock"] is None:
        return None
    words = percent(growth["penstock"])
    if growth["floor"]:
        words += f" (the floor {percent(growth['floor'])})"
    return Verdict(words, growth["penstock"] <= goal.limit)


def judge_linear(goal, names, result):
    slopes = {}
    for target in ("penstock", "floor"):
        costs = [median(result, target, name, "us") for name in names]
        if None not in costs:
            sizes = [int(name.split()[0]) for name in names]
            slopes[target] = [(costs[at + 1] - costs[at]) / (sizes[at + 1] - sizes[at]) for at in range(len(names) - 1)]
    if "penstock" not in slopes:
        return None
    *_, before, last = slopes["penstock"]
    words = f"{before:.2f}, then {last:.2f} us for each KB more"
    if "floor" in slopes:
        words += " (the floor {0:.2f}, then {1:.2f})".format(*slopes["floor"][-2:])
    return Verdict(words, last <= before * goal.limit)


def judge_workers(goal, names, result):
    value = [median(result, "penstock", name, "us") for name in names[:2]]
    return None if None in value else Verdict(percent(value[1] / value[0]), value[1] / value[0] <= goal.limit)


def judge_moved(goal, names, result):
    calm, beside = (median(result, "penstock", name, goal.figure) for name in names)
    if calm is None or beside is None:
        return None
    return Verdict(f"{time(calm)} to {time(beside)}", beside - calm < goal.limit)


judges = {"ratio": judge_ratio, "added": judge_added, "most": judge_most, "whole": judge_whole, "growth": judge_growth,
          "linear": judge_linear, "workers": judge_workers, "moved": judge_moved}


def percent(growth):
    return f"{(growth - 1) * 100:+.0f} %"


def kib(value):
    return f"{value / 2**20:.1f} MiB" if value >= 2**20 else f"{value / 1024:.1f} KiB"


def time(value_us):
    return f"{value_us / 1000:.1f} ms" if value_us >= 1000 else f"{value_us:.0f} us"


def number(value):
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
