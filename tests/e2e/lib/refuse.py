# SPDX-License-Identifier: MIT
#
# refuse - run a program that the kernel refuses some calls, as a container's seccomp filter does:
#   refuse.py ERRNO-NAME NUMBER[,NUMBER...] PROGRAM [ARGUMENTS]
# Calls are named by their numbers. Exit code 77: this machine grants no filter.

import ctypes
import errno
import os
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD | BPF_W | BPF_ABS, BPF_JMP | BPF_JEQ, BPF_RET
REFUSE, ALLOW = 0x00050000, 0x7FFF0000


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(number, calls):
    rules = [(LOAD_WORD, 0, 0, 0)]
    for call in calls:
        rules += [(JUMP_EQUAL, 0, 1, call), (RETURN, 0, 0, REFUSE | number)]
    rules.append((RETURN, 0, 0, ALLOW))
    code = b"".join(struct.pack("HBBI", *rule) for rule in rules)
    program = Program(len(rules), code)
    libc = ctypes.CDLL(None, use_errno=True)
    prctl = libc.prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and \
        prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.addressof(program), 0, 0) == 0


if not install(getattr(errno, sys.argv[1]), [int(call) for call in sys.argv[2].split(",")]):
    print("no seccomp filter", file=sys.stderr)
    sys.exit(77)
os.execvp(sys.argv[3], sys.argv[3:])
