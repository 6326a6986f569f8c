"""What lies beneath the protocol of meerkat (meerkat_client.py): msgpack, and nng's SP over TCP. By hand and in full, for
implementers in other languages; with a msgpack library and an nng binding at hand neither is needed."""
import select
import socket
import struct

# --- msgpack: the part that JSON has too, and byte strings ------------------------------------------------------------

# Lengths in three widths: below the first bound inside the first byte, then as u8, u16 or u32 behind it.
_STR, _BIN, _LIST, _MAP = (0xA0, 32, 0xD9), (0, 0, 0xC4), (0x90, 16, 0xDB), (0x80, 16, 0xDD)


def _head(kind, n):
    base, small, first = kind
    if n < small:
        return bytes([base | n])
    if n < 256 and kind in (_STR, _BIN):
        return struct.pack(">BB", first, n)
    return struct.pack(">BH", first + 1, n) if n < 65536 else struct.pack(">BI", first + 2, n)


def pack(value):
    """A Python value as msgpack bytes. Lists and maps have no u8 length: theirs begin at u16 (0xDC, 0xDE)."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        if -32 <= value < 128:
            return struct.pack("b", value)
        return struct.pack(">Bq", 0xD3, value) if value < 2**63 else struct.pack(">BQ", 0xCF, value)
    if isinstance(value, float):
        return struct.pack(">Bd", 0xCB, value)
    if isinstance(value, str):
        raw = value.encode()
        return _head(_STR, len(raw)) + raw
    if isinstance(value, (bytes, bytearray)):
        return _head(_BIN, len(value)) + value
    if isinstance(value, dict):
        return _head(_MAP, len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())
    return _head(_LIST, len(value)) + b"".join(map(pack, value))


_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_LENGTHS = {0xC4: (">B", "bin"), 0xC5: (">H", "bin"), 0xC6: (">I", "bin"), 0xD9: (">B", "str"), 0xDA: (">H", "str"),
            0xDB: (">I", "str"), 0xDC: (">H", "list"), 0xDD: (">I", "list"), 0xDE: (">H", "map"), 0xDF: (">I", "map")}


def unpack(data, at=0):
    """The msgpack value at `at`, and where it ends."""
    byte = data[at]
    at += 1
    if byte < 0x80 or byte >= 0xE0:
        return (byte if byte < 0x80 else byte - 256), at
    if byte in _FIXED:
        return _FIXED[byte], at
    if byte in _NUMBERS:
        form = _NUMBERS[byte]
        return struct.unpack_from(form, data, at)[0], at + struct.calcsize(form)
    if byte in _LENGTHS:
        form, kind = _LENGTHS[byte]
        n = struct.unpack_from(form, data, at)[0]
        at += struct.calcsize(form)
    else:  # the length is in the byte itself: 0x80 map, 0x90 list, 0xA0 and 0xB0 string
        kind = "map" if byte < 0x90 else "list" if byte < 0xA0 else "str"
        n = byte & (0x1F if kind == "str" else 0x0F)
    if kind in ("str", "bin"):
        raw = bytes(data[at:at + n])
        if len(raw) < n:
            raise ValueError("msgpack: cut off")
        return (raw.decode() if kind == "str" else raw), at + n
    items = []
    for _ in range(n if kind == "list" else 2 * n):
        item, at = unpack(data, at)
        items.append(item)
    return (items if kind == "list" else dict(zip(items[::2], items[1::2]))), at


# --- nng's SP over TCP ------------------------------------------------------------------------------------------------

PUB, SUB = 0x20, 0x21


class Pipe:
    """One connection. Both ends first send 00 'S' 'P' 00, their protocol as u16 and 00 00; then every message is a length as
    u64 and that many bytes, all big-endian. A publisher only writes, a subscriber only reads: the filtering is ours to do."""

    def __init__(self, url, protocol):
        host, port = url.removeprefix("tcp://").rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.socket.sendall(b"\0SP\0" + struct.pack(">HH", protocol, 0))
        while len(self.buffer) < 8:
            self._read()
        expected = SUB if protocol == PUB else PUB
        if self.buffer[:8] != b"\0SP\0" + struct.pack(">HH", expected, 0):
            raise ConnectionError("the peer does not speak SP, or is the wrong end")
        del self.buffer[:8]

    def _read(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise ConnectionError("the bus closed the connection")
        self.buffer += got

    def send(self, frame):
        self.socket.sendall(struct.pack(">Q", len(frame)) + frame)

    def frames(self, seconds):
        """The frames that are there, waiting at most so long for the first bytes."""
        if select.select([self.socket], [], [], seconds)[0]:
            self._read()
        found, at = [], 0
        while len(self.buffer) - at >= 8:
            n = struct.unpack_from(">Q", self.buffer, at)[0]
            if len(self.buffer) - at - 8 < n:
                break
            found.append(bytes(self.buffer[at + 8:at + 8 + n]))
            at += 8 + n
        del self.buffer[:at]
        return found

    def close(self):
        self.socket.close()
