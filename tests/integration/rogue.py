"""An executor that does what its input tells it, mostly wrong (test_executors.py). Started as

    rogue.py FILE

where FILE gets a line for each process that there ever was (its pid), so that a test can see that none remains. An input's body
is {"do": NAME, ...}: the functions below."""
import itertools
import os
import select
import signal
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import pack, unpack  # noqa: E402 (the path first)

OUT = sys.stdout.buffer
starts = 0  # runs that this child was given


def note(path, line):
    """One line, whole, whoever else writes there."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, f"{line}\n".encode())
    os.close(fd)


def born():
    note(sys.argv[1], os.getpid())


def write(data):
    OUT.write(data)
    OUT.flush()


def answer(**keys):
    frame = pack(keys)
    write(struct.pack(">I", len(frame)) + frame)


def read():
    head = sys.stdin.buffer.read(4)
    return unpack(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))[0] if len(head) == 4 else None


def forever():
    while True:
        time.sleep(1000)


# --- what is right ---

def do_echo(run, _body):
    answer(result=[i["body"] for i in run["inputs"]])


def do_whole(run, _body):
    """The run as it came; the state as text."""
    answer(result={**run, "state": run["state"] and run["state"].hex()}, state=b"\0\xff" + (run["state"] or b""))


def do_forget(run, _body):
    answer(state=None, result=run["state"] and run["state"].hex())


def do_each(run, _body):
    answer(results=[i["body"].get("n") for i in run["inputs"]])


def do_nap(run, body):
    time.sleep(body["seconds"])
    do_each(run, body)


def do_nothing(_run, _body):
    answer()


def do_events(_run, body):
    answer(result=1, events=body["events"], ops=[{"what": "ever"}], later="unknown")


def do_who(_run, _body):
    answer(result={"pid": os.getpid(), "fds": sorted(map(int, os.listdir("/proc/self/fd"))), "sid": os.getsid(0),
                   "env": {k: v for k, v in os.environ.items() if k.startswith("MEERKAT")}, "kept": os.environ.get("KEPT")})


def do_meet(_run, body):
    """Ends when so many are here at the same time."""
    note(body["path"], os.getpid())
    end = time.monotonic() + 10
    while len(set(open(body["path"]).read().split())) < body["count"]:
        if time.monotonic() > end:
            return answer(failure={"message": "nobody came"})
        time.sleep(0.01)
    return answer(result="met")


def do_order(_run, body):
    note(body["path"], body["n"])
    time.sleep(0.05)
    answer(result=body["n"])


def do_wait(run, _body):
    """Ends when it is asked to."""
    frame = read()
    assert frame["cancel"] == run["run"], frame
    answer(cancelled=True)


def do_turn(run, body):
    """Takes inputs in, as they tell it, until one says `end`; begun again with so many as `enough` says, it ends at once."""
    had, took = [i["body"] for i in run["injected"]], []
    if had and len(had) >= body.get("enough", 99):
        return answer(result={"had": had, "took": took, "attempt": run["attempt"]})
    answer(boundary=run["run"], live=True)
    note(body["path"], run["attempt"])
    while True:
        frame = read()
        if not frame:
            os._exit(0)
        if "cancel" in frame:
            return answer(cancelled=True)
        assert frame["inject"] == run["run"], frame
        word = frame["input"]["body"]
        if not word.get("mute"):
            for _ in range(2 if word.get("twice") else 1):
                answer(injected=frame["input"]["id"], ok=word.get("take", True))
            took += [word] * word.get("take", True)
        if word.get("die"):
            os._exit(7)
        if word.get("end"):
            answer(boundary=run["run"], live=False)
            return answer(result={"had": had, "took": took, "attempt": run["attempt"]})


def do_finish(run, _body):
    """Is asked to end, and comes to its end all the same."""
    frame = read()
    answer(result=frame["hard"])


# --- what is wrong ---

def do_fail(_run, body):
    answer(state=b"lost", failure=body["failure"])


def do_die(_run, body):
    os._exit(body.get("status", 7))


def do_kill(_run, _body):
    os.kill(os.getpid(), signal.SIGKILL)


def do_hang(_run, _body):
    forever()


def do_beat(run, body):
    """Marks the time for as long as it lives; started again, it answers."""
    if os.path.exists(body["path"]):
        note(body["path"] + ".again", time.monotonic())
        return answer(result={"attempt": run["attempt"], "fence": run["fence"]})
    while True:
        note(body["path"], time.monotonic())
        time.sleep(0.01)


def do_garbage(_run, _body):
    write(struct.pack(">I", 300) + bytes(range(256)) + b"x" * 44)


def do_print(_run, _body):
    print("Hello, I am an executor", flush=True)
    forever()


def do_announce(_run, body):
    write(struct.pack(">I", body["bytes"]))
    forever()


def do_flood(_run, body):
    """Without end, after announcing what is allowed."""
    write(struct.pack(">I", body["bytes"]))
    while True:
        write(b"\xc1" * 65536)


def do_flood_after(_run, _body):
    answer(result="fine")
    while True:
        write(b"\0" * 65536)


def do_blind(_run, _body):
    """Answers the next run too, without having read it: it comes when the whole of this one has been taken."""
    answer(result="seen")
    select.select([0], [], [])
    answer(result="unseen")
    forever()


def do_close(_run, _body):
    os.close(1)
    forever()


def do_overlook(run, body):
    """Is asked to take an input, and comes to its end without having read it."""
    answer(boundary=run["run"], live=True)
    note(body["path"], run["attempt"])
    select.select([0], [], [])
    answer(result="unread")


def do_invent(_run, _body):
    answer(injected="never asked for", ok=True)
    forever()


def do_stray(_run, _body):
    answer(boundary="not mine", live=True)
    forever()


def do_babble(run, _body):
    """Its boundary comes and goes without end."""
    for live in itertools.cycle((True, False)):
        answer(boundary=run["run"], live=live)


def do_large(_run, body):
    answer(result="x" * body["bytes"])


def do_deep(_run, body):
    value = 1
    for _ in range(body["depth"]):
        value = [value]
    answer(result=value)


def do_stderr(_run, body):
    line = b"x" * body.get("bytes", 80) + b"\n"
    for _ in range(body["lines"]):
        sys.stderr.buffer.write(line)
    sys.stderr.buffer.flush()
    answer(result="said")


def do_say(_run, body):
    print(body["text"], file=sys.stderr, flush=True)
    answer(result="said")


def spawn(wanted):
    """A process that stays: in our group, in a session of its own, or in one without a parent that anybody knows."""
    if os.fork():
        return
    if wanted != "group":
        os.setsid()
    if wanted == "orphan" and os.fork():
        os._exit(0)
    born()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forever()


def do_fork(_run, body):
    for wanted in ("group", "session", "orphan"):
        spawn(wanted)
    end = time.monotonic() + 5
    while len(open(sys.argv[1]).read().split()) < body["until"] and time.monotonic() < end:
        time.sleep(0.01)
    if body.get("stay"):
        forever()
    os._exit(0)


def main():
    born()
    while run := read():
        if "run" not in run:
            continue  # about one that has been answered
        body = run["inputs"][0]["body"]
        globals()[f"do_{body['do']}"](run, body)


main()
