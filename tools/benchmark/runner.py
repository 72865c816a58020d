# SPDX-License-Identifier: MIT
"""runner - run a scenario: all its targets in turn, round after round, beside the same provider.

Targets stay up between the rounds, so that each round finds them warm; an idle one costs nothing. Where
memory or the state of a start is what is measured, they are started for each run.
"""
import math
import os
import shutil
import tempfile

from . import build, targets
from .measure import Stage, model, paced, spread
from .processes import Failed


def of_variant(scenario, name, p, smoke):
    """The parameters of a variant, made small for a smoke run."""
    if smoke:
        p = {**p, **{key: value for key, value in scenario.smoke.items() if key not in ("other", "storm") or key in p}}
    return name, p


def variants(scenario, smoke):
    chosen = list(scenario.variants.items())
    if smoke and len(chosen) > 2:
        chosen = [chosen[0], chosen[-1]]
    return [of_variant(scenario, name, p, smoke) for name, p in chosen]


def of_target(target, p):
    """What a target can stand of a variant: fewer streams; its own dialect where it cannot translate."""
    p = dict(p)
    if "streams" in target.limits:
        p["streams"] = min(p["streams"], target.limits["streams"])
    if p.get("dialect") and not target.translates:
        p["dialect"] = "chat"
    return p


class Run:
    """One scenario being run; a context, at whose end everything that it started is stopped."""

    def __init__(self, scenario, programs, names, smoke, say):
        self.scenario, self.programs, self.names, self.smoke, self.say = scenario, programs, names, smoke, say
        self.up = {}
        self.providers = []
        self.figures = {}
        self.skipped = {}

    def __enter__(self):
        scenario = self.scenario
        self.folder = tempfile.mkdtemp(prefix="penstock-bench-")
        os.chmod(self.folder, 0o755)
        needs_tls = any(scenario.setting.get(key) for key in ("upstream_tls", "listen_tls"))
        certificate = build.certificate(self.folder) if needs_tls else None
        self.stage = Stage(self.programs, self.folder, certificate)
        self.upstreams = []
        self.upstream(0)
        self.fast = ""
        if scenario.fast:
            provider, self.fast = self.stage.start_provider(idle=True)
            self.providers.append(provider)
        return self

    def upstream(self, number):
        """The address of a provider: the first, the second, ..."""
        while len(self.upstreams) <= number:
            provider, address = self.stage.start_provider(tls=bool(self.scenario.setting.get("upstream_tls")))
            self.providers.append(provider)
            self.upstreams.append(address)
        return self.upstreams[number]

    def __exit__(self, *_):
        for one in [*self.up.values(), *self.providers]:
            one.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, p, number):
        target = targets.all_targets[name](self.programs)
        workers = p.get("workers", 1)
        folder = os.path.join(self.folder, f"{name}-{workers}-{number}")
        os.makedirs(folder, exist_ok=True)
        complete = of_target(target, p)
        if self.scenario.measure is paced:
            complete = spread(complete)
        setting = targets.Setting(
            folder=folder, upstreams=[self.upstream(number)], workers=workers, certificate=self.stage.certificate,
            fast_upstream=self.fast, model=model(complete), **self.scenario.setting)
        return target.start(setting, self.stage.target_cpus(min(workers, len(self.stage.all_cpus))))

    def target(self, name, p):
        """A target that runs, with as many workers as the variant wants, and as many processes as its streams need."""
        workers = p.get("workers", 1)
        copies = math.ceil(p["streams"] / targets.most_streams()) if self.scenario.measure is paced else 1
        key = (name, workers, copies)
        if key not in self.up:
            self.up[key] = self.start(name, p, 0)
            if copies > 1:
                self.up[key] = targets.Several([self.up[key]])
                for number in range(1, copies):
                    self.up[key].targets.append(self.start(name, p, number))
        return self.up[key]

    def measure(self, name, p):
        try:
            target = self.target(name, p)
            figure = self.scenario.measure(self.stage, target, of_target(target, p))
        except Failed as failed:
            figure = {"errors": str(failed)}
        if self.scenario.fresh or figure["errors"]:
            self.drop(name, p)
        return figure

    def drop(self, name, p):
        for key in [key for key in self.up if key[:2] == (name, p.get("workers", 1))]:
            self.up.pop(key).stop()

    def round(self, number):
        for variant, p in variants(self.scenario, self.smoke):
            for name in self.names:
                if name in self.skipped:
                    continue
                figure = self.measure(name, p)
                self.figures.setdefault(name, {}).setdefault(variant, []).append(figure)
                self.say(self.scenario, number, name, variant, figure)


def run(scenario, programs, wanted, rounds, smoke, say):
    """Give {"figures": {target: {variant: [figure of each round]}}, "skipped": {target: why}}."""
    names = [name for name in scenario.targets if not wanted or name in wanted]
    with Run(scenario, programs, names, smoke, say) as one:
        for name in names:
            why = targets.all_targets[name](programs).missing()
            if why:
                one.skipped[name] = why
        for number in range(rounds):
            one.round(number)
        return {"figures": one.figures, "skipped": one.skipped}
