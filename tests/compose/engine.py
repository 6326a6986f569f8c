"""Docker for the compose test: commands with a bound, the base image, and a project that is always taken down."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zlib

from harness import ROOT, wait_until

FILE = ROOT / "compose" / "compose.yaml"
BASE = re.search(r"^FROM (\S+)", (ROOT / "compose" / "Dockerfile").read_text(), re.M).group(1)
LOGS = ROOT / "build" / "compose-test"
NODES = ("node-1", "node-2", "node-3")
MIRROR = "http://deb.debian.org/debian"


class Failed(AssertionError):
    """A command that did not end well, or not in time."""


_running = set()  # commands of other threads end too when a project is taken down
_ending = threading.Event()


def _end(child):
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):  # it ended just now
            os.killpg(child.pid, signal.SIGKILL)


def run(argv, seconds=60, check=True, env=None):
    """What a program wrote, stdout and stderr together. In a session of its own: Ctrl-C is ours."""
    if _ending.is_set() and threading.current_thread() is not threading.main_thread():
        raise Failed(f"not begun, all is taken down: {' '.join(argv)}")
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True,
                             errors="replace", start_new_session=True)
    _running.add(child)
    try:
        text = child.communicate(timeout=seconds)[0] or ""
    except BaseException as error:
        _end(child)
        child.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise Failed(f"not within {seconds} s: {' '.join(argv)}") from None
        raise
    finally:
        _running.discard(child)
    if check and child.returncode:
        raise Failed(f"exit {child.returncode}: {' '.join(argv)}\n{text[-3000:]}")
    return text


def works(argv):
    try:
        run(argv, 10)
        return True
    except (OSError, Failed):
        return False


def docker(*args, **options):
    return run(["docker", *args], **options)


def compose_command():
    """What answers here: the plugin, else the program of version 1."""
    return next((words for words in (["docker", "compose"], ["docker-compose"]) if works([*words, "version"])), None)


def missing():
    """Why there can be no test here, in one line; None when there can."""
    if not works(["docker", "version", "--format", "{{.Server.Version}}"]):
        return "there is no Docker engine here (`docker version` does not answer)"
    return None if compose_command() else "a Docker engine answers, but neither `docker compose` nor `docker-compose` is here"


# --- the base image ---------------------------------------------------------------------------------------------------

# As the slim image leaves them out.
LEFT_OUT = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")


def need_base():
    """The image that the Dockerfile begins with: there, pulled, or made of Debian's packages under its name."""
    if works(["docker", "image", "inspect", BASE]):
        return
    print(f"{BASE} is not here; pulling it", flush=True)
    try:
        docker("pull", BASE, seconds=180)
    except Failed as error:
        print(f"it cannot be pulled ({str(error).splitlines()[-1][:120]}); making it of Debian packages (debootstrap)", flush=True)
        make_base()
        print(f"made {BASE}; it stays (docker rmi {BASE})", flush=True)


def make_base():
    if os.geteuid():
        raise Failed(f"making {BASE} takes root, for debootstrap; or pull it where there is a network")
    run(["sh", str(ROOT / "tests/tools/deps.sh"), "debootstrap"], 300)
    suite = BASE.split(":")[1].removesuffix("-slim")
    with tempfile.TemporaryDirectory(prefix="meerkat-base-", dir="/var/tmp") as folder:
        run(["debootstrap", "--variant=minbase", suite, folder, MIRROR], 600)
        for name in LEFT_OUT:
            for path in pathlib.Path(folder, name).iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        run(["sh", "-c", 'tar -C "$0" -c . | docker import - "$1"', folder, BASE], 120)


# --- the project ------------------------------------------------------------------------------------------------------


class Project:
    """The compose file under a name of its own, on ports that Docker chooses. Gone with its volumes at the end of its `with`."""

    def __init__(self, settings):
        self.name = f"meerkat-test-{os.getpid()}"
        self.past = {}  # service -> what its removed containers logged
        self.tag = f"test-{zlib.crc32(str(ROOT).encode()):08x}"  # one for each tree: its layers are there the next time
        self.command = [*compose_command(), "-p", self.name, "-f", str(FILE)]
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("MEERKAT_", "COMPOSE_"))}
        self.env |= {"MEERKAT_TAG": self.tag, "MEERKAT_PUBLISH_IN": "127.0.0.1:", "MEERKAT_PUBLISH_OUT": "127.0.0.1:"} | settings

    def __enter__(self):
        return self

    def __exit__(self, kind, _value, _trace):
        held = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            if kind and issubclass(kind, Exception):
                self.save_logs()
            _ending.set()
            for child in list(_running):
                _end(child)
            self.down()
        finally:
            for number, handler in held.items():
                signal.signal(number, handler)

    def down(self):
        """As `down -v`, by what everything of a project is labelled with: at once, and whatever state it is in."""
        kinds = ((("ps", "-aq"), ("rm", "-f", "-v")), (("network", "ls", "-q"), ("network", "rm")),
                 (("volume", "ls", "-q"), ("volume", "rm", "-f")))
        for _ in range(5):  # what an interrupted command had begun may still come into being
            found = [(self._ids(*how_listed), how_removed) for how_listed, how_removed in kinds]
            if not any(ids for ids, _ in found):
                return
            for ids, how_removed in found:
                if ids:
                    docker(*how_removed, *ids, check=False)
        raise Failed(f"cannot be removed: {found}")

    def compose(self, *args, seconds=90, **options):
        return run([*self.command, *args], seconds=seconds, env=self.env, **options)

    def _ids(self, *words, service=None):
        """Names differ between the versions of compose, labels do not."""
        labels = [f"project={self.name}"] + ([f"service={service}"] if service else [])
        return docker(*words, *[word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]).split()

    def build(self):
        self.compose("build", "--force-rm", seconds=900)

    def up(self, *services):
        self.compose("up", "-d", "--no-build", *services, seconds=120)

    # --- one service ---

    def container(self, service):
        ids = self._ids("ps", "-aq", service=service)
        if len(ids) != 1:
            raise Failed(f"{service} has {len(ids)} containers")
        return ids[0]

    def inspect(self, service):
        return json.loads(docker("inspect", self.container(service)))[0]

    def state(self, service):
        return self.inspect(service)["State"]

    def exec(self, service, *argv, check=True):
        return docker("exec", self.container(service), *argv, seconds=20, check=check)

    def ready(self, service):
        """Asks the node itself: Docker's own check is as old as its interval."""
        return works(["docker", "exec", self.container(service), "meerkat-probe", "/readyz"])

    def wait_ready(self, *services, seconds=30):
        for service in services or NODES:
            wait_until(lambda s=service: self.ready(s), seconds, f"{service} is ready")

    def metric(self, service, name):
        text = self.exec(service, "meerkat-probe", "/metrics")
        return int(re.search(rf"^meerkat_{name} (\d+)$", text, re.M).group(1))

    def owned(self, nodes=NODES):
        """Node -> how many partitions it owns."""
        return {node: self.metric(node, "partitions_owned") for node in nodes}

    def bus(self):
        """IN|OUT, as Docker published them."""
        ports = [docker("port", self.container("hub"), str(port)).split()[0] for port in (7400, 7401)]
        return "|".join(f"tcp://{address}" for address in ports)

    def logs(self, service):
        return docker("logs", self.container(service), check=False)

    def remove(self, service):
        """A stopped container; what it logged is kept for save_logs."""
        self.past[service] = self.past.get(service, "") + self.logs(service)
        self.compose("rm", "-f", "-v", service)

    def save_logs(self, lines=15):
        """All that the containers said, into build/compose-test; the last lines to stderr."""
        LOGS.mkdir(parents=True, exist_ok=True)
        for service in ("redis", "hub", *NODES, "demo"):
            try:
                text = self.past.get(service, "") + self.logs(service)
            except Failed as error:
                text = f"{error}\n"
            (LOGS / f"{service}.log").write_text(text)
            print(f"--- {service}, last lines of {LOGS / service}.log", *text.splitlines()[-lines:], sep="\n", file=sys.stderr)
