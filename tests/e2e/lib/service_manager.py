#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""service_manager.py - what systemd does around a service, for tests: sockets handed over, notices, watchdog.

Usage: service_manager.py OPTIONS -- COMMAND...
  --notify path|abstract|none   where NOTIFY_SOCKET leads (default path)
  --socket ADDRESS[=NAME]       listen on ADDRESS:0 and hand it over; may be repeated; udp:ADDRESS is one that does not listen
  --watchdog US                 WATCHDOG_USEC
  --wrong-pid                   WATCHDOG_PID and LISTEN_PID name another process

Tells what happens as lines of JSON on standard output. Commands on standard input: start, signal NAME, hold THREAD (stop one
thread of the service by ptrace), release, restart-manager (another socket at the same address), quit.
"""
import argparse
import ctypes
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
import time

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
telling = threading.Lock()


def tell(**words):
    with telling:
        sys.stdout.write(json.dumps({"at_ms": time.monotonic() * 1000, **words}) + "\n")
        sys.stdout.flush()


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def thread_named(pid, name):
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as comm:
            if comm.read().strip() == name:
                return int(tid)
    raise OSError(f"no thread {name}")


class Manager:
    def __init__(self, options):
        self.options = options
        self.pid = None
        self.held = None
        self.sockets = []
        self.names = []
        for wish in options.socket:
            address, _, name = wish.partition("=")
            datagrams = address.startswith("udp:")
            host = address[4:] if datagrams else address
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
            listener.bind((host, 0))
            if not datagrams:
                listener.listen(64)
            self.sockets.append(listener)
            self.names.append(name or "unknown")
            tell(event="socket", port=listener.getsockname()[1])
        self.folder = tempfile.mkdtemp(prefix="penstock-notify-")
        os.chmod(self.folder, 0o711)
        self.notify = None
        self.address = None
        self.open_notify()

    def open_notify(self):
        if self.options.notify == "none":
            return
        if self.notify:
            self.notify.close()
            if self.address[0] == "/":
                os.unlink(self.address)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if self.options.notify == "abstract":
            self.address = f"@penstock-test-{os.getpid()}"
            self.notify.bind("\0" + self.address[1:])
        else:
            self.address = os.path.join(self.folder, "notify")
            self.notify.bind(self.address)
            os.chmod(self.address, 0o777)

    def variables(self):
        pid = 1 if self.options.wrong_pid else os.getpid()
        made = dict(os.environ)
        if self.address:
            made["NOTIFY_SOCKET"] = self.address
        if self.options.watchdog:
            made["WATCHDOG_USEC"] = str(self.options.watchdog)
            made["WATCHDOG_PID"] = str(pid)
        if self.sockets:
            made["LISTEN_PID"] = str(pid)
            made["LISTEN_FDS"] = str(len(self.sockets))
            made["LISTEN_FDNAMES"] = ":".join(self.names)
        return made

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(2, 1)
            for at, listener in enumerate(self.sockets):
                os.dup2(listener.fileno(), 100 + at)
            for at in range(len(self.sockets)):
                os.dup2(100 + at, 3 + at)
                os.close(100 + at)
            os.execvpe(self.options.command[0], self.options.command, self.variables())
        tell(event="started", pid=self.pid)

    def hold(self, name):
        tid = thread_named(self.pid, name)
        ptrace(PTRACE_SEIZE, tid)
        ptrace(PTRACE_INTERRUPT, tid)
        os.waitpid(tid, WALL)
        self.held = tid
        tell(event="held", tid=tid)

    def release(self):
        ptrace(PTRACE_DETACH, self.held)
        self.held = None
        tell(event="released")

    def obey(self, line):
        word, _, rest = line.partition(" ")
        if word == "start":
            self.start()
        elif word == "signal":
            os.kill(self.pid, getattr(signal, rest))
        elif word == "hold":
            try:
                self.hold(rest)
            except OSError as error:
                tell(event="refused", why=str(error))
        elif word == "release":
            self.release()
        elif word == "restart-manager":
            self.open_notify()
            tell(event="restarted")

    def look(self):
        if not self.pid or self.held:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self.pid = None
            tell(event="exit", code=os.waitstatus_to_exitcode(status))

    def run(self):
        pending = b""
        while True:
            wanted = [0] + ([self.notify.fileno()] if self.notify else [])
            ready, _, _ = select.select(wanted, [], [], 0.02)
            self.look()
            if self.notify and self.notify.fileno() in ready:
                tell(event="notify", text=self.notify.recv(4096).decode())
            if 0 in ready:
                read = os.read(0, 4096)
                lines = (pending + read).split(b"\n")
                pending = lines.pop()
                for line in lines:
                    if line == b"quit":
                        return
                    self.obey(line.decode())
                if not read:
                    return

    def end(self):
        if self.held:  # or nobody would see the end of that thread, and so of the process
            self.release()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, WALL)
        if self.notify and self.address[0] == "/":
            os.unlink(self.address)
        os.rmdir(self.folder)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--notify", choices=["path", "abstract", "none"], default="path")
    parser.add_argument("--socket", action="append", default=[])
    parser.add_argument("--watchdog", type=int, default=0)
    parser.add_argument("--wrong-pid", action="store_true")
    parser.add_argument("command", nargs="+")
    manager = Manager(parser.parse_args())
    try:
        manager.run()
    finally:
        manager.end()


main()
