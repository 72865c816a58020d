# SPDX-License-Identifier: MIT
"""report - docs/PERFORMANCE.md and its charts, made of the results and nothing else.

What people have to say about the figures stands in docs/performance/lessons.md and is taken in as it is.
"""
import os
import sys

from . import build, charts, measure, scenarios, targets
from .figures import complaints, judge, kib, median, number, ratio, ratios, rounds, time

folder = os.path.join(build.root, "docs", "performance")
document = os.path.join(build.root, "docs", "PERFORMANCE.md")
columns = ("floor", "nginx", "haproxy", "h2o", "portkey", "penstock")

opening = """\
<!-- Written by tools/bench from docs/performance/results.json and docs/performance/lessons.md; do not edit. -->
# Performance

What penstock costs beside what one would use instead, on one machine, each with one worker on one processor. `./tools/bench`
measures all of it again and writes this document.
"""

method = """\
- Processor time is what the kernel's scheduler counted for the target's processes (`/proc/PID/task/*/schedstat`), divided by
  the requests or events of that time. It does not depend on how busy the machine is, and hardly on how fast.
- A target runs on one processor. The provider and the load generator, `load_provider` and `loadgen`, share the other one.
- All targets of a scenario run beside the same provider and take turns, mostly for three rounds. A figure is the median of the rounds;
  a ratio is the median of the ratios within each round.
- The floor is `tools/relay_floor`: it copies bytes, with one read and one write for each event, and looks at none.
- Paced streams are measured while all of them run. What it costs to begin them is in "small" and "connections".
- Where streams need more descriptors than the machine gives one process, several processes of a target share one processor.
- Every event of every stream carries its stream's number, its own, and the time when it was written. The load generator checks
  order, loss, duplicates, strays and the end; a run with a fault is marked as such.
- Added latency is what a target's figure is above that without any gateway.
- Memory is PSS (`/proc/PID/smaps_rollup`) of all processes of a target: its user-space memory, shared pages divided by those who
  share them. An idle target has just been started. Sockets' buffers in the kernel are not in it, and are the same for all.
"""


def row(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def table(head, body):
    return "\n".join([row(head), row(["---"] * len(head)), *[row(cells) for cells in body]]) + "\n"


def title(name):
    return targets.all_targets[name].title


def first_variant(scenario):
    return next(iter(scenario.variants))


def short(scenario, result, name):
    """A target's cell in the table of goals."""
    variant = first_variant(scenario)
    if name not in scenario.targets:
        return ""
    if name in result["skipped"] or not rounds(result, name, variant):
        return "-"
    if scenario.measure is measure.memory:
        value = median(result, name, variant, "bytes")
        return kib(value) if value is not None else "-"
    if scenario.measure is measure.latency:
        over = [median(result, name, variant, key) for key in ("p50_us", "p99_us")]
        base = [median(result, "direct", variant, key) for key in ("p50_us", "p99_us")]
        return " / ".join(time(one - other) for one, other in zip(over, base)) if None not in over + base else "-"
    if scenario.base == name:
        value = median(result, name, variant, "us")
        return f"1 ({number(value)} us)" if value is not None else "-"
    value = ratio(result, name, scenario.base, variant)
    return f"{value:.2f}" if value is not None else "-"


def goals_table(results):
    """The table of goals: every scenario that has one."""
    body = []
    for scenario in scenarios.everything:
        result = results["scenarios"].get(scenario.name)
        if not result:
            continue
        for at, goal in enumerate(scenario.goals):
            verdict = judge(goal, scenario, result)
            cells = [""] * (len(columns) - 1)
            if at == 0 and len(scenario.variants) == 1:
                cells = [short(scenario, result, name) for name in columns[:-1]]
            body.append([f"[{scenario.name}](#{scenario.name})" if at == 0 else "", *cells, verdict.text, goal.text, verdict.word()])
    return table(["scenario", *columns[:-1], "penstock", "goal", ""], body)


def cost_rows(scenario, result, variant):
    for name in scenario.targets:
        value = median(result, name, variant, "us")
        if value is None:
            continue
        found = ratios(result, name, scenario.base, variant)
        middle = ratio(result, name, scenario.base, variant)
        span = f"{middle:.2f} ({min(found):.2f} to {max(found):.2f})" if found else ""
        busy = median(result, name, variant, "busy")
        yield [title(name), number(value), span, f"{median(result, name, variant, 'rate'):,.0f}", f"{busy:.2f}",
               remarks(scenario, result, name, variant)]


def remarks(scenario, result, name, variant):
    words = list(complaints(result, name, variant))
    p = scenario.variants[variant]
    fewer = targets.all_targets[name].limits.get("streams")
    if fewer and fewer < p["streams"]:
        words.insert(0, f"{fewer} streams")
    processes = median(result, name, variant, "processes") or 1
    if processes > 1:
        words.insert(0, f"{processes:.0f} processes")
    return "; ".join(words)


def cost_table(scenario, result):
    head = [f"us for each {scenario.unit}", f"ratio to {title(scenario.base)}", f"{scenario.unit}s a second", "of a processor", ""]
    if len(scenario.variants) == 1:
        return table(["target", *head], cost_rows(scenario, result, first_variant(scenario)))
    body = [[variant, *cells] for variant in scenario.variants for cells in cost_rows(scenario, result, variant)]
    return table(["", "target", *head], body)


def workers_table(scenario, result):
    body = []
    for variant in scenario.variants:
        value = median(result, "penstock", variant, "us")
        if value is None:
            continue
        shares = [one["shares"] for one in rounds(result, "penstock", variant) if "shares" in one]
        body.append([variant, number(value), f"{median(result, 'penstock', variant, 'busy'):.2f}",
                     ", ".join(f"{share * 100:.0f} %" for share in shares[-1]), "; ".join(complaints(result, "penstock", variant))])
    return table(["workers", f"us for each {scenario.unit}", "of a processor", "shares of the work", ""], body)


def latency_table(scenario, result):
    """Latency of each target and variant, and what it is above no gateway."""
    body = []
    keys = ("p50_us", "p99_us", "p999_us")
    for variant in scenario.variants:
        base = [median(result, "direct", variant, key) for key in keys]
        for name in scenario.targets:
            values = [median(result, name, variant, key) for key in keys]
            if None in values:
                continue
            added = [time(one - other) for one, other in zip(values, base)] if None not in base and name != "direct" else [""] * 3
            beside = ""
            for key, words in (("handshakes_per_s", "handshakes a second"), ("mb_per_s", "MB a second")):
                if median(result, name, variant, key):
                    busy = median(result, name, variant, "busy")
                    beside = f"beside {median(result, name, variant, key):,.0f} {words}, {busy:.2f} of a processor"
            body.append([variant or title(name), *[time(one) for one in values], *added,
                         "; ".join(filter(None, [beside, remarks(scenario, result, name, variant)]))])
    if "direct" in scenario.targets:
        return table(["", "p50", "p99", "p99.9", "p50 added", "p99 added", "p99.9 added", ""], body)
    return table(["", "p50", "p99", "p99.9", ""], [cells[:4] + cells[7:] for cells in body])


def memory_table(scenario, result):
    variant = first_variant(scenario)
    body = []
    for name in scenario.targets:
        value = median(result, name, variant, "bytes")
        if value is not None:
            idle = kib(median(result, name, variant, "idle_bytes"))
            body.append([title(name), kib(value), idle, remarks(scenario, result, name, variant)])
    return table(["target", "for each stream", "idle", ""], body)


def details(scenario, result):
    if scenario.measure is measure.memory:
        return memory_table(scenario, result)
    if scenario.measure in (measure.latency, measure.disturbed):
        return latency_table(scenario, result)
    return workers_table(scenario, result) if scenario.name == "workers" else cost_table(scenario, result)


def chart(scenario, result):
    """The scenario's chart, or None where a table says it as well."""
    if scenario.measure is measure.disturbed or scenario.name == "workers":
        return None
    if len(scenario.variants) > 1:
        labels = list(scenario.variants)
        series = {name: [median(result, name, label, "us") for label in labels] for name in scenario.targets}
        series = {name: values for name, values in series.items() if None not in values}
        unit = f"us for each {scenario.unit}, by {scenario.by}"
        heading = f"{scenario.name}: processor time for each {scenario.unit}"
        return charts.lines(heading, labels, series, unit, log=scenario.name == "bodies") if series else None
    variant = first_variant(scenario)
    rows = []
    for name in scenario.targets:
        key = {measure.memory: "bytes", measure.latency: "p99_us"}.get(scenario.measure, "us")
        value = median(result, name, variant, key)
        if value is not None:
            words = kib(value) if key == "bytes" else time(value) if key == "p99_us" else f"{number(value)} us"
            rows.append((name, max(value, 0), words))
    what = {measure.memory: "memory for each stream", measure.latency: "p99"}
    heading = f"{scenario.name}: " + what.get(scenario.measure, f"processor time for each {scenario.unit}")
    return charts.bars(heading, rows) if rows else None


def skipped_words(result):
    return "".join(f"{title(name)} was not measured: {why}.\n" for name, why in sorted(result["skipped"].items()))


def section(scenario, result):
    count = max((len(each) for figures in result["figures"].values() for each in figures.values()), default=0)
    heading = f"### {scenario.name}\n\n{scenario.title}. {count} round{'s' if count != 1 else ''}.\n"
    parts = [heading, details(scenario, result), skipped_words(result)]
    if chart(scenario, result):
        parts.append(f"![{scenario.title}](performance/{scenario.name}.svg)\n")
    return "\n".join(part for part in parts if part)


def machine_words(results):
    on = results["machine"]
    minutes = round(sum(result["seconds"] for result in results["scenarios"].values()) / 60)
    words = [f"Measured on {results['date']}, in {minutes} minutes without the builds: {on['processors']} processors ({on['processor']}), "
             f"{on['memory_gib']} GiB, {on['kernel']}, {on['system']}; penstock at revision {results['revision']}.\n"]
    body = []
    for name, kind in targets.all_targets.items():
        found = results["targets"].get(name, {})
        if name not in ("epoll", "io_uring", "direct"):
            body.append([kind.title, found.get("version") or found.get("missing") or "", kind.does])
    return "\n".join([*words, table(["target", "version", "what it does for each request"], body)])


def lessons():
    try:
        with open(os.path.join(folder, "lessons.md"), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def files(results):
    """Everything that is written, {path: text}."""
    made = {}
    parts = [opening, "## Goals and figures\n", "Ratios of processor time to the floor's, or what the unit says.\n", goals_table(results),
             "## How it is measured\n", method, "## The machine and the targets\n", machine_words(results), "## Figures\n"]
    for scenario in scenarios.everything:
        result = results["scenarios"].get(scenario.name)
        if result:
            parts.append(section(scenario, result))
            picture = chart(scenario, result)
            if picture:
                made[os.path.join(folder, f"{scenario.name}.svg")] = picture
    parts.append(lessons())
    made[document] = "\n".join(part.rstrip("\n") + "\n" for part in parts if part)
    return made


def write(results):
    os.makedirs(folder, exist_ok=True)
    for path, text in files(results).items():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def check(results):
    """1 when a file is not what the results give, and say which."""
    made = files(results)
    wrong = [path for path, text in made.items() if read(path) != text]
    wrong += [os.path.join(folder, name) for name in os.listdir(folder)
              if name.endswith(".svg") and os.path.join(folder, name) not in made]
    for path in wrong:
        print(f"{os.path.relpath(path, build.root)} is not what tools/bench --write makes of the results", file=sys.stderr)
    return 1 if wrong else 0


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def summary(results, which):
    """What is printed at the end of a run."""
    parts = []
    for scenario in which:
        result = results["scenarios"][scenario.name]
        verdicts = [judge(goal, scenario, result) for goal in scenario.goals]
        parts.append(f"{scenario.name}: {scenario.title}\n" + details(scenario, result) + skipped_words(result) + "".join(
            f"{goal.text}: {verdict.text or '-'}: {verdict.word()}\n" for goal, verdict in zip(scenario.goals, verdicts)))
    return "\n".join(parts)
