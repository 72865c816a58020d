# SPDX-License-Identifier: MIT
"""targets - what is measured: penstock, our floor, and what one would use instead.

Each has one worker, streams without buffering, keeps its upstream connections and writes a line for each
request to a file, as far as it can do these things; `does` says what it does for a request.
"""
import dataclasses
import json
import os
import resource

from . import machine
from .processes import Failed, Process, free_ports

here = os.path.dirname(os.path.realpath(__file__))
peers = os.path.join(here, "peers")
client_key = "sk-bench-client"
upstream_key = "sk-bench-upstream"


def most_streams():
    """How many streams one process can have with the descriptors it may open, two for each; a peer that plans ahead must fit, too."""
    return min(50000, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2)


@dataclasses.dataclass
class Setting:
    """What a scenario wants of a target."""
    folder: str
    upstreams: list  # addresses with ports
    model: str = "load"
    workers: int = 1
    upstream_tls: bool = False
    listen_tls: bool = False
    certificate: object = None
    io_backend: str = "epoll"
    keep_upstream: bool = False  # the floor: hand on the upstream connections of clients that left
    fast_upstream: str = ""  # a provider of its own for models named "fast-..."


class Target:
    """A program between client and provider. `limits` bound a scenario for those that would not live through it."""
    name, title, does = "", "", ""
    dialects = ("chat", "anthropic")  # what its clients may speak, the provider speaking the same
    translates = False  # whether it speaks chat with the provider whatever the client speaks
    speaks_tls_upstream = False
    limits = {}

    def __init__(self, programs):
        self.programs = programs
        self.process = None
        self.address = None

    def missing(self):
        """None, or why it cannot run here."""
        return None

    def version(self):
        return ""

    def command(self, setting, port):
        """Write the configuration and give the command, and what its environment needs."""
        raise NotImplementedError

    def start(self, setting, cpus):
        for attempt in range(3):
            port = free_ports(1)[0]
            words, env = self.command(setting, port)
            log = os.path.join(setting.folder, f"{self.name}.output")
            self.process = Process(words, log, cpus=cpus, env=env, cwd=setting.folder)
            try:
                self.process.wait_for_port("127.0.0.1", port)
                break
            except Failed:
                self.stop()
                if attempt == 2:
                    raise
        self.address = f"127.0.0.1:{port}"
        return self

    def stop(self):
        if self.process:
            self.process.stop()
        self.process = None

    def parts(self):
        """The processes' roots that share the work; see Several."""
        return [self]

    def threads_ns(self):
        """Processor time of each thread."""
        return machine.threads_ns(self.process.pid) if self.process else {}

    def load_flags(self):
        """What the load generator must say to it besides the request."""
        return []

    def file(self, setting, name, text):
        path = os.path.join(setting.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path


def as_root(line):
    """A line of a configuration that is only understood, and only wanted, when started as root."""
    return line if os.geteuid() == 0 else ""


class Several:
    """The same target several times on the same processors, for more streams than one process has descriptors."""

    def __init__(self, targets):
        self.targets = targets
        self.limits, self.translates = targets[0].limits, targets[0].translates

    def parts(self):
        return self.targets

    def threads_ns(self):
        times = {}
        for target in self.targets:
            times |= target.threads_ns()
        return times

    def stop(self):
        for target in self.targets:
            target.stop()


class Direct(Target):
    name, title = "direct", "no gateway"
    does = "The load generator asks the provider itself."

    def start(self, setting, cpus):
        self.address = setting.upstreams[0]
        return self


class Floor(Target):
    name, title = "floor", "relay_floor"
    does = "Copies bytes: one read and one write for each event, nothing is looked at. The least that a relay can cost."

    def command(self, setting, port):
        words = [self.programs.relay_floor, "--listen", f"127.0.0.1:{port}", "--upstream", setting.upstreams[0]]
        return words + (["--keep", "1024"] if setting.keep_upstream else []), {}


class Penstock(Target):
    name, title = "penstock", "penstock"
    does = ("Its whole job: the client's key, the JSON of the request, routing, every event decoded and checked, usage, metrics, "
            "ids of events, the access log.")
    translates = True
    speaks_tls_upstream = True

    def version(self):
        return (machine.first_line([self.programs.penstock, "--version"]) or "").replace("penstock ", "")

    def entry(self, setting, address, family="load"):
        scheme = "https" if setting.upstream_tls else "http"
        entry = {
            "model_name": f"{family}-*",
            "litellm_params": {"model": "openai/load-*", "api_base": f"{scheme}://{address}/v1", "api_key": upstream_key},
            "penstock": {"max_connections": most_streams()},
        }
        if setting.upstream_tls:
            entry["penstock"] |= {"ca_file": setting.certificate.authority, "tls_server_name": "localhost"}
        return entry

    def command(self, setting, port):
        listen = {"host": "127.0.0.1", "port": port}
        if setting.listen_tls:
            listen |= {"tls_certificate": setting.certificate.chain, "tls_key": setting.certificate.key}
        models = [self.entry(setting, address) for address in setting.upstreams]
        if setting.fast_upstream:
            models.append(self.entry(setting, setting.fast_upstream, "fast"))
        config = {
            "model_list": models,
            "general_settings": {"master_key": client_key},
            "penstock": {
                "listen": listen,
                "workers": setting.workers,
                "io_backend": setting.io_backend,
                "log": {"file": os.path.join(setting.folder, "penstock.access")},
                "limits": {"connections": most_streams(), "upstream_connections": most_streams()},
            },
        }
        path = self.file(setting, f"{self.name}.yaml", json.dumps(config, indent=1))
        os.chmod(path, 0o600)
        return [self.programs.penstock, "serve", "--config", path], {}

    def load_flags(self):
        return ["--key", client_key]


class PenstockUring(Penstock):
    name, title = "io_uring", "penstock with io_uring"
    does = "The same program built with -Dio_uring=enabled, penstock.io_backend: io_uring."

    def missing(self):
        return None if self.programs.penstock_uring else "not built: " + (self.programs.no_uring or "no liburing")

    def command(self, setting, port):
        setting = dataclasses.replace(setting, io_backend="io_uring")
        words, env = super().command(setting, port)
        return [self.programs.penstock_uring, *words[1:]], env


class PenstockEpoll(Penstock):
    name, title = "epoll", "penstock with epoll"
    does = "The very program that is measured with io_uring, penstock.io_backend: epoll."
    missing = PenstockUring.missing

    def command(self, setting, port):
        words, env = super().command(setting, port)
        return [self.programs.penstock_uring, *words[1:]], env


class Installed(Target):
    """A program of the system's packages."""
    program = ""
    version_words = ()

    def missing(self):
        return None if machine.first_line([self.program, *self.version_words]) is not None else "not installed"


class Nginx(Installed):
    name, title, program, version_words = "nginx", "nginx", "nginx", ("-v",)
    does = "Reads both HTTP heads, chooses the upstream, frames the reply anew, writes its access log. Buffering is off in both directions."
    speaks_tls_upstream = True

    def version(self):
        return machine.first_line(["nginx", "-v"]).rpartition("/")[2].split(" ")[0]

    def command(self, setting, port):
        servers = "".join(f"server {address} max_fails=0;" for address in setting.upstreams)
        tls = ""
        if setting.upstream_tls:
            tls = (f"proxy_ssl_verify on; proxy_ssl_trusted_certificate {setting.certificate.authority};"
                   " proxy_ssl_server_name on; proxy_ssl_name localhost; proxy_ssl_session_reuse on;")
        path = self.file(setting, "nginx.conf", f"""
{as_root('user root;')}
daemon off;
worker_processes 1;
pid {setting.folder}/nginx.pid;
error_log {setting.folder}/nginx.errors warn;
events {{ worker_connections {int(2.2 * most_streams()) + 100}; multi_accept on; }}
http {{
    access_log {setting.folder}/nginx.access combined;
    client_body_temp_path {setting.folder}/nginx.body;
    proxy_temp_path {setting.folder}/nginx.proxy;
    fastcgi_temp_path {setting.folder}/nginx.fastcgi;
    uwsgi_temp_path {setting.folder}/nginx.uwsgi;
    scgi_temp_path {setting.folder}/nginx.scgi;
    client_max_body_size 0;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    tcp_nodelay on;
    upstream provider {{ {servers} keepalive 4096; keepalive_requests 100000000; keepalive_timeout 600s; }}
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location / {{
            proxy_pass {'https' if setting.upstream_tls else 'http'}://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {upstream_key}";
            proxy_buffering off;
            proxy_request_buffering off;
            client_body_buffer_size 256k;
            proxy_read_timeout 600s;
            {tls}
        }}
    }}
}}
""")
        return ["nginx", "-c", path, "-p", setting.folder, "-e", f"{setting.folder}/nginx.errors"], {}


class Haproxy(Installed):
    name, title, program, version_words = "haproxy", "HAProxy", "haproxy", ("-v",)
    does = "Reads both HTTP heads, chooses the upstream, frames the reply anew, logs each request. `http-no-delay`, since it holds small pieces back otherwise."
    speaks_tls_upstream = True

    def version(self):
        return machine.first_line(["haproxy", "-v"]).split(" ")[2].split("-")[0]

    def command(self, setting, port):
        tls = f" ssl verify required ca-file {setting.certificate.authority} sni str(localhost)" if setting.upstream_tls else ""
        servers = "\n".join(f"    server s{number} {address}{tls} pool-max-conn -1"
                            for number, address in enumerate(setting.upstreams))
        path = self.file(setting, "haproxy.cfg", f"""
global
    nbthread 1
    maxconn {most_streams()}
    log stdout format raw local0 info
defaults
    mode http
    log global
    option httplog
    option http-no-delay
    option http-keep-alive
    http-reuse always
    maxconn {most_streams()}
    backlog 16384
    timeout connect 10s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
frontend clients
    bind 127.0.0.1:{port}
    default_backend provider
backend provider
    http-request set-header Authorization "Bearer {upstream_key}"
{servers}
""")
        return ["haproxy", "-db", "-f", path], {}


class H2o(Installed):
    name, title, program, version_words = "h2o", "H2O", "h2o", ("--version",)
    does = "Reads both HTTP heads and the whole request body, frames the reply anew, writes its access log."

    def version(self):
        return machine.first_line(["h2o", "--version"]).split(" ")[2]

    def command(self, setting, port):
        path = self.file(setting, "h2o.conf", f"""
{as_root('user: root')}
num-threads: 1
max-connections: {most_streams()}
http1-request-timeout: 600
error-log: {setting.folder}/h2o.errors
access-log: {setting.folder}/h2o.access
pid-file: {setting.folder}/h2o.pid
listen: {{host: 127.0.0.1, port: {port}}}
hosts:
  default:
    paths:
      "/":
        proxy.reverse.url: "http://{setting.upstreams[0]}/"
        proxy.timeout.io: 600000
        proxy.timeout.keepalive: 60000
        proxy.preserve-host: OFF
""")
        return ["h2o", "-m", "worker", "-c", path], {}


class NodePackage(Target):
    """A gateway that npm installs into tools/benchmark/peers."""
    package, entry = "", ""

    def script(self):
        return os.path.join(peers, "node_modules", self.package, self.entry)

    def missing(self):
        if not machine.first_line(["node", "--version"]):
            return "no node"
        return None if os.path.exists(self.script()) else "not installed"

    def version(self):
        text = machine.read(os.path.join(peers, "node_modules", self.package, "package.json"))
        return json.loads(text)["version"] if text else "?"


class Portkey(NodePackage):
    name, title = "portkey", "Portkey's gateway"
    package, entry = "@portkey-ai/gateway", "build/start-server.js"
    does = "A gateway for LLMs in JavaScript: checks the request, chooses the provider by header, hands its events on. It has no client keys and no access log."
    dialects = ("chat",)
    limits = {"streams": 100}

    def start(self, setting, cpus):
        self.upstream = setting.upstreams[0]
        return super().start(setting, cpus)

    def command(self, setting, port):
        return ["node", self.script(), f"--port={port}", "--headless"], {"NODE_ENV": "production"}

    def load_flags(self):
        return ["--key", upstream_key, "--header", "x-portkey-provider: openai",
                "--header", f"x-portkey-custom-host: http://{self.upstream}/v1"]


class ClaudeCodeRouter(NodePackage):
    name, title = "router", "claude-code-router"
    package, entry = "@musistudio/claude-code-router", "dist/cli.js"
    does = "A gateway in JavaScript that translates Anthropic's dialect to OpenAI's and back, with a client key; it counts the request's tokens, and logs nothing here."
    dialects = ()
    translates = True
    limits = {"streams": 100}

    def command(self, setting, port):
        home = os.path.join(setting.folder, "router")
        os.makedirs(os.path.join(home, ".claude-code-router"), exist_ok=True)
        config = {
            "HOST": "127.0.0.1", "PORT": port, "LOG": False, "APIKEY": client_key, "API_TIMEOUT_MS": 600000,
            "Providers": [{"name": "load", "api_key": upstream_key, "models": [setting.model],
                           "api_base_url": f"http://{setting.upstreams[0]}/v1/chat/completions"}],
            "Router": {"default": f"load,{setting.model}"},
        }
        self.file(setting, "router/.claude-code-router/config.json", json.dumps(config, indent=1))
        return ["node", self.script(), "start"], {"HOME": home, "NODE_ENV": "production"}

    def load_flags(self):
        return ["--key", client_key]


all_targets = {kind.name: kind for kind in (Direct, Floor, Penstock, Nginx, Haproxy, H2o, Portkey, ClaudeCodeRouter,
                                            PenstockEpoll, PenstockUring)}
