# SPDX-License-Identifier: MIT
"""measure - one run of the load generator against one target, and what it cost.

Each function takes the stage, a started target and the parameters of a variant, and gives a dictionary of
figures: "errors" (what the load generator complained about, or nothing), and what the scenario is about.
"""
import json
import math
import os
import re
import signal
import time

from . import machine
from .processes import Failed, Process, free_ports

settle_ms = 400  # between everybody's first text and the first look at the clock
tail_ms = 300  # between the last look and the end of the first stream
endless = 1000000000


class Stage:
    """What one scenario runs on: the processors, the folder of this run."""

    def __init__(self, programs, folder, certificate=None):
        self.programs, self.folder, self.certificate = programs, folder, certificate
        self.all_cpus = machine.processors()
        self.load_cpus = {self.all_cpus[0]}
        self.runs = 0
        self.providers = []

    def target_cpus(self, workers=1):
        """The last processors are the target's; only when it wants them all does it share the load's."""
        return set(self.all_cpus[-workers:])

    def start_provider(self, tls=False, idle=False):
        """A provider; "idle" runs it only when nobody else wants the processor."""
        port = free_ports(1)[0]
        upstream = f"127.0.0.1:{port}"
        words = [self.programs.load_provider, "--listen", upstream]
        if tls:
            words += ["--tls", self.certificate.chain, self.certificate.key]
        process = Process(words, os.path.join(self.folder, f"provider-{port}.output"), cpus=self.load_cpus, idle=idle)
        process.wait_for_port("127.0.0.1", port)
        if not idle:
            self.providers.append(process)
        return process, upstream

    def load(self, target, p, more=(), idle=False):
        """Start the load generator. `p` are parameters; see flags()."""
        self.runs += 1
        name = os.path.join(self.folder, f"load-{self.runs}")
        words = [self.programs.loadgen, "--target", f"{'https' if p.get('listen_tls') else 'http'}://{target.address}",
                 *flags(p), *target.load_flags(), *more, "--json", f"{name}.json"]
        if p.get("listen_tls"):
            words += ["--tls", "--ca", self.certificate.authority, "--name", "localhost"]
        return Load(Process(words, f"{name}.output", cpus=self.load_cpus, idle=idle), f"{name}.json")


class Load:
    """A load generator that runs."""

    def __init__(self, process, result):
        self.process, self.result = process, result

    def lines(self):
        return machine.read(self.process.log).split("\n")[:-1]

    def wait_line(self, wanted, limit_s):
        """Wait for a line of which wanted() is true, and give it."""
        ends = time.monotonic() + limit_s
        while True:
            alive = self.process.alive()
            for line in self.lines():
                if wanted(line):
                    return line
            if not alive or time.monotonic() > ends:
                raise Failed(self.failure() or "the load generator says nothing")
            time.sleep(0.003)

    def failure(self):
        """Why it has ended, or is silent, as far as it says."""
        text = machine.read(self.result)
        return complaint(json.loads(text), 1) if text else self.process.said(300)

    def ready(self, limit_s=60):
        """Wait until every connection has had its first text or answer."""
        self.wait_line(lambda line: line == "ready", limit_s)

    def count(self):
        """Its counters so far."""
        seen = sum(line.startswith("{") for line in self.lines())
        self.process.child.send_signal(signal.SIGUSR1)
        ends = time.monotonic() + 5
        while time.monotonic() < ends and self.process.alive():
            found = [line for line in self.lines() if line.startswith("{")]
            if len(found) > seen:
                return json.loads(found[-1])
            time.sleep(0.001)
        raise Failed(self.failure() or "the load generator does not count")

    def end(self):
        self.process.child.terminate()

    def finish(self, limit_s=30):
        """Wait for its end and give what it found, and what was wrong."""
        code = self.process.wait(limit_s)
        if code is None:
            self.end()
            self.process.wait(5)
        self.process.stop()
        text = machine.read(self.result)
        if not text:
            raise Failed(f"the load generator gave no result: {self.process.said(300)}")
        found = json.loads(text)
        found["complaint"] = "did not end in time" if code is None else complaint(found, code)
        return found


def complaint(found, code):
    """What was wrong with a run, in a few words; "" when all was well."""
    if code == 0:
        return ""
    errors = {kind: count for kind, count in (found.get("errors") or {}).items() if count}
    words = ", ".join(f"{count} x {kind}" for kind, count in sorted(errors.items())) or f"exit code {code}"
    return words + (f" ({found['first_error'][:160]})" if found.get("first_error") else "")


def model(p):
    """The model's name steers the provider."""
    name = f"{p.get('family', 'load')}-e{p.get('events', 1)}-i{p.get('interval_ms', 0)}-z{p.get('size', 32)}"
    return name + ("-s" if p.get("apart") else "") + ("-x" + p["fault"] if "fault" in p else "")


def flags(p):
    words = ["--dialect", p.get("dialect", "chat"), "--model", model(p), "--streams", str(p["streams"]),
             "--requests", str(p["requests"]), "--ramp", str(p.get("ramp", 0))]
    words += ["--whole"] if p.get("whole") else ["--stream"]
    if "body" in p:
        words += ["--body-bytes", str(p["body"])]
    if p.get("new_connections"):
        words += ["--new-connections"]
    if not p.get("listen_tls") and (p["streams"] > 5000 or p.get("new_connections")):  # more ports
        words += ["--from", "127.0.0.11,127.0.0.12,127.0.0.13,127.0.0.14"]
    return words


def window(target, loads, p):
    """What happened between two looks at the clock: nanoseconds of each thread, units, seconds."""
    unit = "requests" if p.get("whole") else "events"
    before, first = target.threads_ns(), [load.count() for load in loads]
    time.sleep(p["window_ms"] / 1000)
    after, last = target.threads_ns(), [load.count() for load in loads]
    threads = {thread: after[thread] - before.get(thread, 0) for thread in after}
    units = sum(late[unit] - early[unit] for early, late in zip(first, last))
    return threads, units, (last[0]["now_ns"] - first[0]["now_ns"]) / 1e9


def cost(threads, units, seconds):
    used = sum(threads.values())
    return {"us": round(used / 1000 / max(1, units), 4), "rate": round(units / seconds), "busy": round(used / 1e9 / seconds, 3)}


def saturate(stage, target, p):
    """As much as it can do: processor time for each request, or each event of streams."""
    load = stage.load(target, {**p, "requests": endless})
    load.ready()
    time.sleep(p["window_ms"] / 10000)
    threads, units, seconds = window(target, [load], p)
    load.end()
    found = load.finish()
    return {**cost(threads, units, seconds), "units": units, "errors": found["complaint"]}


def spread(p):
    """Complete the parameters of paced streams: as many events as all of them need to run during the window."""
    p = {"ramp": max(200, p["streams"] // 4), **p}
    whole_ms = p["ramp"] + p["interval_ms"] + p.get("settle_ms", settle_ms) + p["window_ms"] + p.get("tail_ms", tail_ms)
    p["events"] = max(2, math.ceil(whole_ms / p["interval_ms"]) + 1)
    p["requests"] = p["streams"]
    return p


def paced(stage, target, p):
    """An event of each stream at each interval: processor time for each event, while all streams run."""
    parts = target.parts()
    share = spread({**p, "streams": p["streams"] // len(parts)})
    loads = [stage.load(part, share) for part in parts]
    for load in loads:
        load.ready()
    time.sleep(p.get("settle_ms", settle_ms) / 1000)
    threads, units, seconds = window(target, loads, p)
    found = [load.finish(share["events"] * share["interval_ms"] / 1000 + 30) for load in loads]
    used = max(1, sum(threads.values()))
    wanted = share["streams"] * len(parts) * seconds / (share["interval_ms"] / 1000)
    return {
        **cost(threads, units, seconds), "units": sum(one["events"] for one in found), "processes": len(parts),
        "late": units < 0.95 * wanted,
        "shares": [round(one / used, 3) for one in sorted(threads.values(), reverse=True) if one > used * 0.01],
        "p50_us": round(max(one["latency_ns"]["p50"] for one in found) / 1000, 1),
        "p99_us": round(max(one["latency_ns"]["p99"] for one in found) / 1000, 1),
        "errors": "; ".join(one["complaint"] for one in found if one["complaint"]),
    }


def latency(stage, target, p, beside=None, first=False):
    """How long after it was written an event arrives at the client. `beside` is called once all streams run. `first`: those who
    write and who read are waited for by whoever else runs on their processor, lest his turns there are measured."""
    p = spread(p)
    load = stage.load(target, p)
    for one in [load.process, *stage.providers] if first else []:
        one.put_first()
    load.ready()
    before, began = target_ns(target), time.monotonic()
    if beside:
        beside()
    else:
        time.sleep(p["window_ms"] / 1000)
    busy = (target_ns(target) - before) / 1e9 / (time.monotonic() - began)
    found = load.finish(p["events"] * p["interval_ms"] / 1000 + 30)
    spans = found["latency_ns"]
    return {**{f"{name}_us": round(spans[name] / 1000, 1) for name in ("p50", "p99", "p999", "max")},
            "busy": round(busy, 3), "units": found["events"], "errors": found["complaint"]}


def target_ns(target):
    return sum(target.threads_ns().values())


def disturbed(stage, target, p):
    """The same beside somebody who asks for much. That one gets no more of the load's processor than the others leave."""
    theirs = {}
    lasts_s = (p.get("settle_ms", settle_ms) + p["window_ms"]) / 1000

    def other():
        load = stage.load(target, {"requests": endless, **p["other"]}, idle=True)
        time.sleep(lasts_s)
        load.end()
        found = load.finish()
        theirs.update(mb_per_s=round(found["bytes"] / 1e6 / found["seconds"]), complaint=found["complaint"])

    def storm():
        theirs.update(handshakes_per_s=handshakes(stage, target, p["storm"], lasts_s), complaint="")

    found = latency(stage, target, p, other if "other" in p else storm if "storm" in p else None, first=True)
    complaints = [found["errors"], theirs.pop("complaint", "")]
    return {**found, **theirs, "errors": ", ".join(filter(None, complaints))}


def handshakes(stage, target, clients, lasts_s):
    """Clients that connect, shake hands from scratch and leave, one after the other; gives how many a second."""
    words = ["openssl", "s_time", "-connect", target.address, "-new", "-time", str(math.ceil(lasts_s))]
    logs = [os.path.join(stage.folder, f"storm-{number}.output") for number in range(clients)]
    running = [Process(words, log, cpus=stage.load_cpus, idle=True) for log in logs]
    for one in running:
        one.wait(lasts_s + 20)
        one.stop()
    found = [re.search(r"(\d+) connections in (\d+) real seconds", machine.read(log)) for log in logs]
    if not all(found):
        raise Failed("openssl s_time: " + running[0].said(300))
    return round(sum(int(one.group(1)) / max(1, int(one.group(2))) for one in found))


def steady_pss(target):
    """Memory once it has stopped growing: a worker may still be starting when its port is open already."""
    last = -1
    for _ in range(30):
        now = machine.pss_bytes(target.process.pid)
        if now == last:
            break
        last = now
        time.sleep(0.1)
    return last


def memory(stage, target, p):
    """Memory for each stream that has begun and is quiet now; the target has just been started."""
    idle = steady_pss(target)
    load = stage.load(target, {**p, "requests": p["streams"]}, more=["--hold"])
    load.ready(90)
    time.sleep(p["quiet_s"])
    held = steady_pss(target)
    load.end()
    found = load.finish()
    return {"idle_bytes": idle, "bytes": round((held - idle) / p["streams"]), "units": found["events"], "errors": found["complaint"]}
