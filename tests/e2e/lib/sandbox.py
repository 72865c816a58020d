#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sandbox.py - run a command under the system call rules of our systemd unit, without systemd.

Usage: sandbox.py UNIT COMMAND...      as root it becomes nobody before, as the unit has a user of its own

SystemCallFilter= and RestrictAddressFamilies= become one seccomp filter, by the groups that "systemd-analyze syscall-filter"
lists. What the unit answers with EPERM ends the process here (SIGSYS), so that no test can overlook it. MemoryDenyWriteExecute=
is what systemd makes of it: no mapping both writable and executable. x86-64 only; exit code 77 elsewhere.
"""
import ctypes
import os
import platform
import re
import shutil
import socket
import struct
import subprocess
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL, ALLOW = 0x80000000, 0x7FFF0000
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
ARCH_X86_64 = 0xC000003E
WRITE_AND_EXECUTE = ((9, 2, 0x4), (10, 2, 0x4))  # mmap and mprotect: the argument with the protection


def numbers():
    """Give the numbers of system calls, as the C library's headers have them."""
    text = subprocess.run(["cc", "-E", "-dM", "-include", "sys/syscall.h", "-x", "c", os.devnull], check=True, capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", text, re.M)}


def members(group):
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", group], check=True, capture_output=True, text=True).stdout
    names = set()
    for word in (line.strip() for line in text.splitlines()[1:]):
        if word.startswith("@"):
            names |= members(word)
        elif word and not word.startswith("#"):
            names.add(word)
    return names


def settings(unit, name):
    with open(unit, encoding="utf-8") as file:
        return re.findall(rf"^{name}=(.*)$", file.read(), re.M)


def allowed(unit):
    names = members("@default")
    for value in settings(unit, "SystemCallFilter"):
        for word in value.lstrip("~").split():
            group = members(word) if word.startswith("@") else {word}
            names = names - group if value.startswith("~") else names | group
    return names | members("@default")


def filter_of(unit):
    known = numbers()
    rules = [(LOAD, 0, 0, 4), (JUMP_EQUAL, 1, 0, ARCH_X86_64), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    families = [getattr(socket, name) for value in settings(unit, "RestrictAddressFamilies") for name in value.split()]
    calls = sorted(known[name] for name in allowed(unit) if name in known)
    # socket(2): one of the families, else death.
    checks = [(LOAD, 0, 0, 16)] + [(JUMP_EQUAL, len(families) - i, 0, int(family)) for i, family in enumerate(families)] + [(RETURN, 0, 0, KILL), (RETURN, 0, 0, ALLOW)]
    rules += [(JUMP_EQUAL, 0, len(checks), known["socket"])] + checks
    if settings(unit, "MemoryDenyWriteExecute") == ["yes"]:
        for number, argument, executable in WRITE_AND_EXECUTE:
            # mmap: writable and executable at once; mprotect: executable at all is what systemd refuses.
            test = [(LOAD, 0, 0, 16 + 8 * argument), (JUMP_SET, 0, 2, executable)]
            test += [(JUMP_SET, 0, 1, 2), (RETURN, 0, 0, KILL)] if number == 9 else [(RETURN, 0, 0, KILL), (RETURN, 0, 0, KILL)]
            test += [(RETURN, 0, 0, ALLOW)]
            rules += [(JUMP_EQUAL, 0, len(test), number)] + test
    for call in calls:
        rules += [(JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, ALLOW)]
    rules += [(RETURN, 0, 0, KILL)]
    return b"".join(struct.pack("HBBI", *rule) for rule in rules), len(rules)


def main(words):
    if len(words) < 2:
        sys.stderr.write(__doc__)
        return 2
    if platform.machine() != "x86_64" or not shutil.which("systemd-analyze"):
        sys.stderr.write("skipped: no x86-64, or no systemd-analyze\n")
        return 77
    code, count = filter_of(words[0])
    buffer = ctypes.create_string_buffer(code, len(code))

    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("rules", ctypes.c_void_p)]

    program = Program(count, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0):
        sys.stderr.write(f"skipped: no seccomp: {os.strerror(ctypes.get_errno())}\n")
        return 77
    os.execvp(words[1], words[1:])


sys.exit(main(sys.argv[1:]))
