# SPDX-License-Identifier: MIT
"""processes - start programs on given processors and stop them, by the id we got when starting them.

Whatever was started is stopped at the end, however that comes.
"""
import atexit
import os
import signal
import socket
import subprocess
import time

from . import machine

running = []


class Failed(Exception):
    """Something did not work that the run cannot do without; says what."""


class Process:
    """A program that runs. Its output goes to a file, whose end is shown when something is wrong."""

    def __init__(self, words, log, cpus=None, env=None, cwd=None, idle=False):
        self.words, self.log = words, log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=cwd,
                env={**os.environ, **(env or {})}, preexec_fn=lambda: prepare(cpus, idle))
        self.pid = self.child.pid
        running.append(self)

    def put_first(self):
        """From now on it need not wait until somebody else's turn on its processor is over. Only root may ask for that."""
        try:
            os.sched_setscheduler(self.pid, os.SCHED_FIFO, os.sched_param(1))
        except (PermissionError, ProcessLookupError):
            pass

    def said(self, most=1500):
        return machine.read(self.log)[-most:].strip()

    def alive(self):
        return self.child.poll() is None

    def wait(self, limit_s):
        """The exit code, or None when the program still runs at the end of that time."""
        try:
            return self.child.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def wait_for_port(self, host, port, limit_s=15):
        """Return once somebody accepts connections there."""
        ends = time.monotonic() + limit_s
        while time.monotonic() < ends:
            if not self.alive():
                break
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((host, port)) == 0:
                    return
            time.sleep(0.02)
        raise Failed(f"{os.path.basename(self.words[0])} does not listen: {self.said()}")

    def stop(self):
        """SIGTERM; what has not gone after five seconds, descendants included, is killed."""
        if self in running:
            running.remove(self)
        family = machine.tree(self.pid) if self.alive() else []
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
            if self.wait(5) is None:
                for pid in family:
                    kill(pid)
                self.wait(5)
        return self.child.poll()


def prepare(cpus, idle):
    machine.end_with_parent()
    if idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if cpus:
        os.sched_setaffinity(0, cpus)


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop_all():
    for one in list(reversed(running)):
        one.stop()


def free_ports(count, host="127.0.0.1"):
    """Ports of that address that nobody uses, below those that outgoing connections take."""
    low = int(machine.read("/proc/sys/net/ipv4/ip_local_port_range").split()[0] or 32768)
    found, start = [], 10000 + os.getpid() % 10000
    for port in list(range(start, low)) + list(range(2000, start)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Failed("no free ports")


atexit.register(stop_all)
