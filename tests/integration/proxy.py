"""A TCP proxy that can stop forwarding one way, as a network that swallows packets would: the connections stay, nothing comes."""
import socket
import threading

CHUNK = 1 << 16


def _shut(line):
    try:
        line.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was not connected any more


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to `target`, "tcp://HOST:PORT" or "unix:PATH". Its own address is .port.
    What comes while a way is cut is held, or stays with the sender: a stream goes on where it stood."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.forth, self.back = threading.Event(), threading.Event()  # set: that way is open
        self.heal()
        self.late = 0  # bytes that arrived after a cut that held them up
        self.lock, self.lines = threading.Lock(), [self.listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_back(self):
        """From now on nothing comes back from the target; what is sent to it still arrives."""
        self.back.clear()

    def cut_forth(self):
        """From now on nothing arrives at the target; what it sends still comes back."""
        self.forth.clear()

    def heal(self):
        self.forth.set()
        self.back.set()

    def close(self):
        with self.lock:
            for line in self.lines:
                _shut(line)
                line.close()
        self.heal()

    def _dial(self):
        if self.target.startswith("unix:"):
            line = socket.socket(socket.AF_UNIX)
            line.connect(self.target.removeprefix("unix:"))
            return line
        host, port = self.target.removeprefix("tcp://").rsplit(":", 1)
        line = socket.create_connection((host, int(port)), timeout=5)
        line.settimeout(None)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return  # closed
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                far = self._dial()
            except OSError:
                near.close()  # nobody is there: whoever dialled tries again
                continue
            with self.lock:
                self.lines += [near, far]
            for one, other, way in ((near, far, self.forth), (far, near, self.back)):
                threading.Thread(target=self._forward, args=(one, other, way), daemon=True).start()

    def _forward(self, one, other, way):
        try:
            while True:
                data = one.recv(CHUNK)
                held = not way.is_set()
                way.wait()
                if not data:
                    break
                other.sendall(data)
                self.late += len(data) if held else 0
        except OSError:
            pass
        finally:
            _shut(one)
            _shut(other)
