# SPDX-License-Identifier: MIT
"""scenarios - what is measured, with which parameters, and what is wanted of it.

A scenario has variants (most have one), each measured with each of its targets, in turn, for some rounds.
`smoke` replaces parameters for a run that only asks whether every byte is right.
"""
import dataclasses

from . import measure

gateways = ("floor", "penstock", "nginx", "haproxy", "h2o", "portkey")


@dataclasses.dataclass
class Goal:
    """What penstock must reach. kind: ratio (to a target's figure), most (a figure), growth (between variants), ..."""
    kind: str
    limit: float
    text: str
    aim: float = None
    against: str = "floor"
    figure: str = "us"
    variant: str = ""


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    measure: object
    targets: tuple
    variants: dict  # name: parameters
    unit: str  # of the figure `us`: request or event
    goals: tuple
    smoke: dict
    rounds: int = 3
    setting: dict = dataclasses.field(default_factory=dict)  # of the target, as in targets.Setting
    fast: bool = False  # with a second provider
    base: str = "floor"
    by: str = ""  # what the variants differ in
    fresh: bool = False  # a target is started anew for each run


def one(**parameters):
    return {"": parameters}


def body_sizes():
    return {f"{size} KB": {"whole": True, "streams": 16, "window_ms": 2000, "body": size * 1000} for size in (1, 10, 100, 1000)}


def stream_counts():
    """The same events a second, from few streams or from many."""
    return {str(count): {"streams": count, "interval_ms": count // 50, "window_ms": 3000, "ramp": max(300, count // 5)}
            for count in (100, 1000, 10000, 20000)}


small_smoke = {"streams": 4, "window_ms": 50}
paced_smoke = {"streams": 10, "interval_ms": 10, "window_ms": 50, "ramp": 20, "settle_ms": 10, "tail_ms": 20}

everything = (
    Scenario(
        "small", "Small requests and replies, not streamed, 64 connections, as fast as they go", measure.saturate, gateways,
        one(whole=True, streams=64, window_ms=2500), "request",
        (Goal("ratio", 1.4, "<= 1.4, aim 1.2", aim=1.2),), small_smoke),
    Scenario(
        "paced", "1,000 streams, an event each 20 ms, the same dialect on both sides", measure.paced, gateways,
        one(streams=1000, interval_ms=20, window_ms=3000), "event",
        (Goal("ratio", 1.2, "<= 1.2, aim 1.1", aim=1.1),), paced_smoke),
    Scenario(
        "translated", "The same, an Anthropic client and an OpenAI upstream", measure.paced, ("floor", "penstock", "router"),
        one(streams=1000, interval_ms=20, window_ms=3000, dialect="anthropic"), "event",
        (Goal("ratio", 1.35, "<= 1.35"),), paced_smoke),
    Scenario(
        "flood", "64 connections, streams of 512 events, as fast as they go", measure.saturate, gateways,
        one(streams=64, window_ms=2500, events=512, apart=True), "event",
        (Goal("ratio", 1.3, "<= 1.3"),), {**small_smoke, "events": 20}),
    Scenario(
        "body", "Request bodies of 200 KB, small replies, 16 connections", measure.saturate, gateways,
        one(whole=True, streams=16, window_ms=2500, body=200000), "request",
        (Goal("ratio", 1.7, "<= 1.7, aim 1.3", aim=1.3),), {**small_smoke, "body": 20000}),
    Scenario(
        "connections", "A new client connection for each request, 64 at a time", measure.saturate, gateways,
        one(whole=True, streams=64, window_ms=2500, new_connections=True), "request",
        (Goal("ratio", 1.0, "<= nginx", against="nginx"),), small_smoke, setting={"keep_upstream": True}),
    Scenario(
        "tls", "TLS to the upstream, 500 streams, an event each 20 ms", measure.paced, ("nginx", "haproxy", "penstock"),
        one(streams=500, interval_ms=20, window_ms=3000, ramp=2000), "event",
        (Goal("ratio", 1.0, "<= nginx with OpenSSL", against="nginx"),), paced_smoke,
        setting={"upstream_tls": True}, base="nginx"),
    Scenario(
        "latency", "Added latency, 250 streams, an event each 20 ms", measure.latency, ("direct",) + gateways,
        one(streams=250, interval_ms=20, window_ms=3000, ramp=1000), "event",
        (Goal("added", 1.0, "p50 <= nginx", against="nginx", figure="p50_us"),
         Goal("added", 1.0, "p99 <= nginx", against="nginx", figure="p99_us")), paced_smoke),
    Scenario(
        "memory", "Memory for each quiet stream, 9,800 streams", measure.memory, gateways,
        one(streams=9800, events=4, fault="stall", ramp=3000, quiet_s=1.5), "stream",
        (Goal("most", 4096, "<= 4 KiB", figure="bytes"), Goal("most", 4 << 20, "idle <= 4 MiB", figure="idle_bytes")),
        {"streams": 20, "ramp": 50, "quiet_s": 0.1}, rounds=1, fresh=True),
    Scenario(
        "memory-tls", "Memory for each quiet stream with TLS to the upstream, 1,000 streams", measure.memory,
        ("nginx", "haproxy", "penstock"),
        one(streams=1000, events=4, fault="stall", ramp=3000, quiet_s=2), "stream",
        (Goal("most", 16384, "<= 16 KiB", figure="bytes"),),
        {"streams": 20, "ramp": 50, "quiet_s": 0.1}, rounds=1, fresh=True, setting={"upstream_tls": True}, base="nginx"),
    Scenario(
        "streams", "The same 50,000 events a second from 100 to 20,000 streams", measure.paced, ("floor", "penstock"),
        stream_counts(), "event",
        (Goal("whole", 0, "no frame lost at 10,000 and 20,000"), Goal("growth", 1.15, "<= 15 % dearer at 20,000 than at 100")),
        paced_smoke, rounds=2, by="streams"),
    Scenario(
        "bodies", "Request bodies from 1 KB to 1 MB", measure.saturate, ("floor", "penstock"), body_sizes(), "request",
        (Goal("linear", 1.25, "a byte of 1 MB costs <= 1.25 of a byte of 100 KB"),), {"streams": 2, "window_ms": 50}, rounds=2, by="size of the body"),
    Scenario(
        "workers", "1, 2 and 4 workers, 1,000 streams, an event each 20 ms", measure.paced, ("penstock",),
        {f"{count}": {"streams": 1000, "interval_ms": 20, "window_ms": 2500, "workers": count} for count in (1, 2, 4)}, "event",
        (Goal("workers", 1.15, "two workers cost <= 15 % more for each event than one"),), paced_smoke, rounds=2),
    Scenario(
        "storm", "250 live TLS streams beside a storm of new TLS connections", measure.disturbed, ("penstock",),
        {"calm": {"streams": 250, "interval_ms": 20, "window_ms": 3000, "ramp": 1500, "listen_tls": True},
         "storm": {"streams": 250, "interval_ms": 20, "window_ms": 3000, "ramp": 1500, "listen_tls": True,
                   "storm": 32}}, "event",
        (Goal("moved", 5000, "p99 moves by < 5 ms", figure="p99_us"),),
        {**paced_smoke, "streams": 4, "storm": 2}, setting={"listen_tls": True}, fresh=True),
    Scenario(
        "fast", "100 streams beside one that is as fast as it can be", measure.disturbed, ("penstock",),
        {"calm": {"streams": 100, "interval_ms": 20, "window_ms": 3000},
         "beside": {"streams": 100, "interval_ms": 20, "window_ms": 3000,
                    "other": {"family": "fast", "streams": 1, "events": 20000, "size": 4000}}}, "event",
        (Goal("moved", 1000, "p99 moves by < 1 ms", figure="p99_us"),),
        {**paced_smoke, "streams": 4, "other": {"family": "fast", "streams": 1, "events": 200, "size": 4000}}, fast=True),
    Scenario(
        "uring-small", "io_uring and epoll: small requests, 64 connections", measure.saturate, ("epoll", "io_uring"),
        one(whole=True, streams=64, window_ms=2500), "request", (), small_smoke, base="epoll"),
    Scenario(
        "uring-paced", "io_uring and epoll: 1,000 streams, an event each 20 ms", measure.paced, ("epoll", "io_uring"),
        one(streams=1000, interval_ms=20, window_ms=3000), "event", (), paced_smoke, base="epoll"),
    Scenario(
        "uring-flood", "io_uring and epoll: 64 connections, 512 events, as fast as they go", measure.saturate, ("epoll", "io_uring"),
        one(streams=64, window_ms=2500, events=512, apart=True), "event", (), {**small_smoke, "events": 20}, base="epoll"),
)


def named(name):
    for scenario in everything:
        if scenario.name == name:
            return scenario
    return None
