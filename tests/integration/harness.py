"""Real processes for the integration tests, the demo and the bench: a private folder, redis-server, hub and node on unix sockets
and free ports, bounded waits, logs that are shown when something fails, and an end for every process by its own pid.

Nothing here outlives its parent: a child is killed by the kernel when the process that started it dies, however it dies.
The folder of the programs is MEERKAT_BIN, else build/bin.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = 15  # how long a program may take to come up
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def binary(name):
    path = pathlib.Path(os.environ.get("MEERKAT_BIN", ROOT / "build" / "bin")).resolve() / name
    if not path.exists():
        raise AssertionError(f"{path} is not there: build first (make), or say where it is (MEERKAT_BIN)")
    return str(path)


def wait_until(condition, seconds, what):
    """What `condition` returns once it is true. Polls: for what cannot tell by itself that it has changed."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def die_when_told():
    """SIGTERM and SIGHUP end the program as Ctrl-C does: through every `with`, so that nothing stays behind."""

    def leave(number, _frame):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


class Finished:
    """A program that ran to its end."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def lines(self):
        """Its output as JSON, one object a line; a line that is none fails the test."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.out}--- stderr\n{self.err}"


class Process:
    """A program that runs. May be killed, stopped, continued and started again with the same or other arguments."""

    def __init__(self, lab, name, argv, env=None):
        self.lab, self.name, self.argv = lab, name, argv
        self.env = {**lab.env, **(env or {})}
        self.out, self.err = lab.path / f"{name}.out", lab.path / f"{name}.log"
        self.popen = None

    def start(self):
        with open(self.out, "wb") as out, open(self.err, "ab") as err:
            self.popen = subprocess.Popen(self.lab.prefix + self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env=self.env, preexec_fn=_die_with_parent, start_new_session=True)
        return self

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def pause(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and its end. Works on a stopped process too."""
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait(10)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def wait(self, seconds):
        """Its exit code."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is still there after {seconds} s") from None

    def text(self):
        return self.out.read_text(errors="replace")

    def log(self):
        return self.err.read_text(errors="replace")


class Daemon(Process):
    """A meerkat program that says when it is ready: one line `ready key=value ...` in its ready file."""

    def __init__(self, lab, name, argv, env=None):
        self.ready_file = lab.path / f"{name}.ready"
        super().__init__(lab, name, argv + ["--ready-file", str(self.ready_file)], env)
        self.ready = {}

    def start(self, wait=True):
        self.ready_file.unlink(missing_ok=True)
        super().start()
        return self.wait_ready() if wait else self

    def wait_ready(self, seconds=READY_SECONDS):
        def line():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.popen.returncode} before it was ready:\n{self.log()}")
            text = self.ready_file.read_text() if self.ready_file.exists() else ""
            return text if text.endswith("\n") else None

        words = wait_until(line, seconds, f"{self.name} is ready").split()
        if words[0] != "ready":
            raise AssertionError(f"{self.name}: a ready line that is none: {' '.join(words)}")
        self.ready = dict(word.split("=", 1) for word in words[1:])
        return self

    @property
    def bus(self):
        return self.ready["bus"]

    def http(self, path):
        """(status, text); status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.ready['http']}{path}", timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def green(self):
        return self.http("/readyz")[0] == 200

    def metric(self, name):
        """The sum of a metric over its labels."""
        values = [line.rsplit(" ", 1)[1] for line in self.http("/metrics")[1].splitlines()
                  if line.startswith((name + " ", name + "{"))]
        if not values:
            raise AssertionError(f"{self.name} has no metric {name}")
        return sum(map(float, values))


class Redis(Process):
    """redis-server on a unix socket of its own."""

    def __init__(self, lab, name="redis", options=()):
        folder = lab.path / name
        folder.mkdir()
        self.socket = str(folder / "sock")
        argv = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", str(folder), "--daemonize", "no",
                "--loglevel", "warning", "--enable-debug-command", "local", "--save", ""]
        super().__init__(lab, name, argv + list(options or ("--appendonly", "yes", "--appendfsync", "everysec")))
        self.folder = folder
        self.store = f"unix:{self.socket}"

    def start(self):
        super().start()

        def answers():
            if not self.running():
                raise AssertionError(f"redis-server ended:\n{self.text()}{self.log()}")
            return self.call("PING") == "PONG"

        wait_until(answers, READY_SECONDS, "redis-server answers")
        return self

    def call(self, *words):
        """One command; a reply that is one line, as text. None: nobody answers, or an error."""
        try:
            reply = self.query(*words)
        except (OSError, RuntimeError):
            return None
        return reply if isinstance(reply, str) else str(reply) if isinstance(reply, int) else None

    def query(self, *words):
        """One command and its whole reply: text of a status, a number, bytes, None, or a list of these. An error raises."""
        parts = [str(word).encode() for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(3)
            line.connect(self.socket)
            line.sendall(request)
            with line.makefile("rb") as lines:
                return self._reply(lines)

    def _reply(self, lines):
        line = lines.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RuntimeError(f"redis: {rest}")
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == "-1" else lines.read(int(rest) + 2)[:-2]
        return [self._reply(lines) for _ in range(int(rest))] if kind == b"*" else rest

    def aof(self):
        """The file to which it appends."""
        return next(self.folder.glob("appendonlydir/*.incr.aof"))


class Network:
    """A network of its own (loopback only), where the default ports are free whatever else runs on this machine. It exists as
    long as its holder. Without the right to make one, the machine's own network is used."""

    UP = "import fcntl,socket,struct,sys;" \
         "fcntl.ioctl(socket.socket(),0x8914,struct.pack('16sh14x',b'lo',1));" \
         "print('up',flush=True);sys.stdin.read()"

    def __init__(self):
        self.holder, self.prefix = None, []
        for flags in (["-n"], ["-r", "-n"]):
            holder = subprocess.Popen(["unshare"] + flags + [sys.executable, "-c", self.UP], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent)
            if holder.stdout.readline() == b"up\n":
                user = ["-U", "--preserve-credentials"] if "-r" in flags else []
                self.holder, self.prefix = holder, ["nsenter", "-t", str(holder.pid)] + user + ["-n", "--"]
                return
            holder.stdin.close()
            holder.wait(5)

    def close(self):
        if self.holder:
            self.holder.stdin.close()
            self.holder.stdout.close()
            self.holder.wait(5)


class Lab:
    """A private folder and the processes in it; all ended, and the folder gone, at the end of its `with`."""

    def __init__(self, own_network=False):
        self.own_network = own_network

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="meerkat-"))
        self.processes, self.clients = [], []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("MEERKAT_")}
        self.network = Network() if self.own_network else None
        self.prefix = self.network.prefix if self.network else []
        return self

    def __exit__(self, kind, _value, _trace):
        for client in self.clients:
            client.close()
        for process in reversed(self.processes):
            process.kill()
        if self.network:
            self.network.close()
        if kind and issubclass(kind, Exception):
            self.show_logs()
        shutil.rmtree(self.path, ignore_errors=True)

    def show_logs(self, lines=25):
        for process in self.processes:
            for path in (process.out, process.err):
                tail = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
                if tail:
                    print(f"--- {path.name}, last lines", *tail, sep="\n", file=sys.stderr)

    def add(self, process):
        self.processes.append(process)
        return process

    def redis(self, name="redis", options=()):
        return self.add(Redis(self, name, options)).start()

    def hub(self, name="hub", listen="tcp://127.0.0.1:0", options=()):
        hub = self.add(Daemon(self, name, [binary("meerkat-hub"), "--listen", listen, "--http", "127.0.0.1:0", *options]))
        hub.start()
        # Started again, it comes back where everybody looks for it.
        hub.argv[hub.argv.index("--listen") + 1] = hub.bus
        return hub

    def node(self, store, bus, name="n1", lease_ms=1000, options=(), wait=True, node_id=None):
        """node_id: when it is not the process's name."""
        argv = [binary("meerkat-node"), "--node-id", node_id or name, "--store", store, "--bus", bus, "--lease-ms", str(lease_ms),
                "--http", "127.0.0.1:0", *options]
        return self.add(Daemon(self, name, argv)).start(wait)

    def cluster(self, lease_ms=1000, node_options=()):
        """Redis, hub and node. (self.r, self.h, self.n)"""
        self.r, self.h = self.redis(), self.hub()
        self.n = self.node(self.r.store, self.h.bus, lease_ms=lease_ms, options=node_options)
        return self

    def nodes(self, *names, lease_ms=500, node_options=()):
        """Redis, hub and so many nodes, started together. (self.r, self.h; returns {name: node})"""
        self.r, self.h = self.redis(), self.hub()
        nodes = {name: self.node(self.r.store, self.h.bus, name, lease_ms, node_options, wait=False) for name in names}
        for node in nodes.values():
            node.wait_ready()
        return nodes

    def proxy(self, target):
        from proxy import Proxy

        proxy = Proxy(target)
        self.clients.append(proxy)
        return proxy

    def client(self, bus=None, **options):
        from meerkat_client import Client

        client = Client(bus or self.h.bus, **options)
        self.clients.append(client)
        return client

    def run(self, *argv, seconds=20, env=None, stdin=""):
        """A program to its end."""
        child = subprocess.Popen(self.prefix + list(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env={**self.env, **(env or {})}, preexec_fn=_die_with_parent, text=True)
        try:
            out, err = child.communicate(stdin, timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            raise AssertionError(f"still running after {seconds} s: {argv}\n{out}{err}") from None
        except BaseException:
            child.kill()
            child.wait()
            raise
        return Finished(child.returncode, out, err)

    def cli(self, *args, seconds=20, bus=None, stdin=""):
        """`meerkat ...` on this lab's bus."""
        bus = bus or (self.h.bus if hasattr(self, "h") else None)
        return self.run(binary("meerkat"), *args, seconds=seconds, env={"MEERKAT_BUS": bus} if bus else None, stdin=stdin)

    def cli_start(self, name, *args):
        """A CLI command that does not end by itself; its output is in .text()."""
        return self.add(Process(self, name, [binary("meerkat"), *args], {"MEERKAT_BUS": self.h.bus})).start()
