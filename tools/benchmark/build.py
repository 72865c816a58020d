# SPDX-License-Identifier: MIT
"""build - the programs that a run needs: a release build of ours, and what others wrote."""
import dataclasses
import os
import shutil
import subprocess

from . import targets
from .processes import Failed

root = os.path.dirname(os.path.dirname(targets.here))
programs = {"penstock": "gateway/penstock", "loadgen": "tools/loadgen", "load_provider": "tools/load_provider",
            "relay_floor": "tools/relay_floor"}


@dataclasses.dataclass
class Programs:
    penstock: str
    loadgen: str
    load_provider: str
    relay_floor: str
    penstock_uring: str = ""
    no_uring: str = ""


def in_build(folder):
    """The programs of a build directory; complains of those that are not there."""
    paths = {name: os.path.join(os.path.abspath(folder), path) for name, path in programs.items()}
    absent = [path for path in paths.values() if not os.access(path, os.X_OK)]
    if absent:
        raise Failed("there is no " + ", no ".join(absent))
    return Programs(**paths)


def run(words, **more):
    """Run a command whose output nobody needs unless it fails; gives what it said in that case, else ""."""
    try:
        done = subprocess.run(words, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **more)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-2000:].strip() or f"exit code {done.returncode}"


def meson(name, *options):
    folder = os.path.join(root, name)
    wrong = ""
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        wrong = run(["meson", "setup", folder, "--buildtype=release", "-Dtests=false", *options])
    return wrong or run(["ninja", "-C", folder, "--quiet", *programs.values()])


def install(say):
    """What is missing of the system's packages and of npm's. A peer that cannot be had is not measured."""
    say("installing what is missing")
    wrong = run([os.path.join(root, "tools", "deps"), "bench"])
    if wrong:
        say(f"tools/deps: {wrong}")
    lock = os.path.join(targets.peers, "package-lock.json")
    kept = os.path.join(targets.peers, "node_modules", ".package-lock.json")
    if os.path.exists(kept) and os.path.getmtime(kept) >= os.path.getmtime(lock):
        return
    if not shutil.which("npm"):
        say("there is no npm: what it would install is not measured")
        return
    # No package of these needs its install scripts.
    wrong = run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", targets.peers])
    if wrong:
        say(f"npm ci: {wrong}")
    elif os.path.exists(kept):
        os.utime(kept)


def build(say, with_uring):
    """Release builds of ours in build-bench and, with io_uring, in build-bench-uring."""
    say("building")
    wrong = meson("build-bench")
    if wrong:
        raise Failed(f"the build failed: {wrong}")
    found = in_build(os.path.join(root, "build-bench"))
    if with_uring:
        wrong = meson("build-bench-uring", "-Dio_uring=enabled")
        if wrong:
            found.no_uring = wrong.splitlines()[-1]
        else:
            found.penstock_uring = os.path.join(root, "build-bench-uring", "gateway", "penstock")
    return found


def revision():
    """Which state of the sources was measured."""
    done = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def certificate(folder):
    """An authority and a certificate of "localhost", made by openssl for this run."""
    path = lambda name: os.path.join(folder, name)
    with open(path("san"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for words in (
            ["req", "-x509", *key, "-keyout", path("authority.key"), "-out", path("authority.pem"), "-days", "2", "-subj",
             "/CN=bench authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"],
            ["req", *key, "-keyout", path("server.key"), "-out", path("server.csr"), "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", path("server.csr"), "-CA", path("authority.pem"), "-CAkey", path("authority.key"),
             "-CAcreateserial", "-days", "2", "-extfile", path("san"), "-out", path("server.pem")]):
        wrong = run(["openssl", *words])
        if wrong:
            raise Failed(f"openssl: {wrong}")
    return Certificate(path("authority.pem"), path("server.pem"), path("server.key"))


@dataclasses.dataclass
class Certificate:
    authority: str
    chain: str
    key: str
