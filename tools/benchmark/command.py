# SPDX-License-Identifier: MIT
"""command - what tools/bench does with its arguments."""
import argparse
import datetime
import json
import os
import signal
import sys
import time

from . import build, machine, report, runner, scenarios, self_test, targets
from .processes import Failed

results_path = os.path.join(build.root, "docs", "performance", "results.json")


def arguments(words, usage):
    parser = argparse.ArgumentParser(prog="tools/bench", usage=usage.partition("Usage: ")[2].partition("\n\nA whole")[0])
    for name in ("list", "smoke", "write", "check", "quick", "keep", "self-test"):
        parser.add_argument(f"--{name}", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--targets", default="")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--json", default="")
    parser.add_argument("--build", default="")
    return parser.parse_args(words)


def say(text):
    print(text, file=sys.stderr, flush=True)


def tell(scenario, number, name, variant, figure):
    """One line for each run."""
    words = []
    if "us" in figure:
        words.append(f"{figure['us']:8.2f} us/{scenario.unit} {figure['rate']:8} /s  busy {figure['busy']:.2f}")
    if "p50_us" in figure and "us" not in figure:
        words.append(" ".join(f"{key[:-3]} {figure[key]:.0f} us" for key in ("p50_us", "p99_us", "p999_us")) + f"  busy {figure['busy']:.2f}")
    if "bytes" in figure:
        words.append(f"{figure['bytes'] / 1024:.2f} KiB/{scenario.unit}, idle {figure['idle_bytes'] / 2**20:.2f} MiB")
    for key in ("handshakes_per_s", "mb_per_s"):
        if figure.get(key):
            words.append(f"{key} {figure[key]}")
    if figure["errors"]:
        words.append("ERRORS: " + figure["errors"])
    if figure.get("late"):
        words.append("did not keep pace")
    say(f"  {scenario.name:12} {number + 1} {name:9} {variant:8} {'  '.join(words)}")


def chosen(options):
    found = []
    for name in options.only:
        scenario = scenarios.named(name)
        if not scenario:
            raise Failed(f"there is no scenario {name}; see --list")
        found.append(scenario)
    return found or list(scenarios.everything)


def measure(options, programs, which):
    """Run the scenarios; gives {name: result}."""
    wanted = [name for name in options.targets.split(",") if name]
    for name in wanted:
        if name not in targets.all_targets:
            raise Failed(f"there is no target {name}: {', '.join(targets.all_targets)}")
    found = {}
    for scenario in which:
        say(f"{scenario.name}: {scenario.title}")
        rounds = 1 if options.smoke or options.quick else options.rounds or scenario.rounds
        began = time.monotonic()
        found[scenario.name] = runner.run(scenario, programs, wanted, rounds, options.smoke, tell)
        found[scenario.name]["seconds"] = round(time.monotonic() - began)
        for name, why in found[scenario.name]["skipped"].items():
            say(f"  {scenario.name:12}   {name:9} {why}")
    return found


def about(programs):
    """What was measured, and where."""
    versions = {}
    for name, kind in targets.all_targets.items():
        target = kind(programs)
        why = target.missing()
        versions[name] = {"missing": why} if why else {"version": target.version()}
    return {"date": datetime.date.today().isoformat(), "revision": build.revision(), "machine": machine.describe(),
            "targets": versions}


def smoke(programs, which, options):
    """Every scenario for a moment, with our own programs unless others are asked for."""
    options.targets = options.targets or "direct,floor,penstock,epoll,io_uring"
    found = measure(options, programs, which)
    wrong = 0
    for name, result in found.items():
        for target, figures in result["figures"].items():
            for variant, each in figures.items():
                for figure in each:
                    if figure["errors"] or not figure["units"]:
                        print(f"{name}: {target} {variant}: {figure['errors'] or 'nothing arrived'}")
                        wrong += 1
    print(f"{len(found)} scenarios, {wrong} wrong")
    return 1 if wrong else 0


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, results):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1, sort_keys=True)
        file.write("\n")


def full(options, which):
    """Measure; the document is written from a whole run, or with --keep."""
    if not options.build:
        build.install(say)
        programs = build.build(say, any(name.startswith("uring") for name in (one.name for one in which)))
    else:
        programs = build.in_build(options.build)
    found = measure(options, programs, which)
    whole = not (options.only or options.targets or options.quick or options.rounds or options.build)
    results = {**about(programs), "scenarios": found}
    if options.keep and os.path.exists(results_path):
        results["scenarios"] = {**load(results_path)["scenarios"], **found}
    if options.json:
        save(options.json, results)
    if whole or options.keep:
        save(results_path, results)
        report.write(results)
    print(report.summary(results, which))
    wrong = [name for name in ("penstock", "floor") for result in found.values() if report.complaints(result, name)]
    return 1 if wrong else 0


def main(words, usage):
    options = arguments(words, usage)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    try:
        which = chosen(options)
        if options.list:
            print("\n".join(f"{one.name:12} {one.title}; {', '.join(one.targets)}" for one in which))
            return 0
        if options.self_test:
            return self_test.run()
        if options.write:
            report.write(load(results_path))
            return 0
        if options.check:
            return report.check(load(results_path))
        machine.raise_limits()
        if len(machine.processors()) < 2 and not options.smoke:
            raise Failed("two processors are needed: one for the target, one for the load")
        if options.smoke:
            programs = build.in_build(options.build) if options.build else build.build(say, False)
            return smoke(programs, which, options)
        return full(options, which)
    except Failed as failed:
        say(f"tools/bench: {failed}")
        return 1
