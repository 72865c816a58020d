# SPDX-License-Identifier: MIT
"""machine - what the kernel says: processors, time and memory of processes, the machine's description.

Everything is read from /proc. Times are nanoseconds, memory is bytes.
"""
import ctypes
import os
import platform
import re
import resource
import subprocess


def read(path):
    """The text of a file, "" when it is not there (any more)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def processors():
    """The processors that this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


def raise_limits():
    """As many descriptors as the kernel allows us; children inherit it. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = int(read("/proc/sys/fs/nr_open") or hard)
    for limits in ((most, most), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return limits[0]
        except (ValueError, OSError):
            continue
    return soft


def end_with_parent():
    """In a child, before exec: a bench that is killed leaves nothing behind."""
    pr_set_pdeathsig, sigterm = 1, 15
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, sigterm, 0, 0, 0)


def tree(pid):
    """A process and its descendants."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            threads = os.listdir(f"/proc/{one}/task")
        except OSError:
            continue
        for thread in threads:
            waiting += map(int, read(f"/proc/{one}/task/{thread}/children").split())
    return found


def threads_ns(pid):
    """Processor time of each thread of a process tree."""
    times = {}
    for one in tree(pid):
        try:
            threads = os.listdir(f"/proc/{one}/task")
        except OSError:
            continue
        for thread in threads:
            text = read(f"/proc/{one}/task/{thread}/schedstat").split()
            if text:
                times[int(thread)] = int(text[0])
    return times


def pss_bytes(pid):
    """Memory of a process tree: its own pages, and its share of those it has in common with others."""
    total = 0
    for one in tree(pid):
        found = re.search(r"^Pss: +(\d+) kB", read(f"/proc/{one}/smaps_rollup"), re.M)
        total += int(found.group(1)) * 1024 if found else 0
    return total


def describe():
    """The machine, in the words of its kernel."""
    cpu = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal: +(\d+) kB", read("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.M)
    release = re.match(r"\d+\.\d+", platform.release())
    return {
        "processor": cpu.group(1).strip() if cpu else platform.machine(),
        "processors": len(processors()),
        "memory_gib": round(int(memory.group(1)) / 2**20) if memory else 0,
        "kernel": "Linux " + (release.group(0) if release else "?"),
        "system": system.group(1) if system else "?",
    }


def first_line(words):
    """The first line of what a command says, or None when there is no such command."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else ""
