"""Executors that are commands (docs/executors.md): what children may do, what becomes of them when they do what they must not, and
that no process remains. The children are rogue.py, which does what an input tells it."""
import os
import pathlib
import signal
import sys
import time

from harness import ROOT, Lab, binary, wait_until

ROGUE = pathlib.Path(__file__).resolve().parent / "rogue.py"
EXAMPLES = ROOT / "docs" / "examples"
MIB = 1 << 20
# What a node may grow by while a child does its worst: an answer's limit (12 MiB, twice while it grows), and some air. A sanitizer
# keeps what was freed.
GROWTH_BYTES = (64 if "asan" not in os.environ.get("MEERKAT_BIN", "") else 640) * MIB


def gone(pid):
    """It is over; whether its parent has noticed does not matter."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Pool:
    """A node with one executor `x` of rogue.py, and the pids of all processes that it ever had."""

    def __init__(self, lab, children=1, name="n1", options=(), env=None, wait=True):
        self.lab, self.file = lab, lab.path / f"{name}.pids"
        self.file.touch()
        command = f"exec {sys.executable} -B {ROGUE} {self.file}"
        if not hasattr(lab, "h"):
            lab.r, lab.h = lab.redis(), lab.hub()
        lab.env.update(env or {})
        self.node = lab.node(lab.r.store, lab.h.bus, name=name, wait=wait,
                             options=["--executor", f"x=exec:{children}:{command}", *options])
        self.client = lab.client()
        if wait:
            wait_until(lambda: len(self.alive()) == children, 15, f"{children} children have started")

    def pids(self):
        return [int(line) for line in self.file.read_text().split()]

    def alive(self):
        return [pid for pid in self.pids() if not gone(pid)]

    def replaced(self, pids, alive=1):
        """So many there ever were, and so many there are now."""
        wait_until(lambda: len(self.pids()) == pids and len(self.alive()) == alive, 10, f"{pids} processes, {alive} of them alive")
        time.sleep(0.2)  # and no more
        assert len(self.pids()) == pids, self.pids()

    def supervisor(self):
        return int(pathlib.Path(f"/proc/{self.node.pid}/task/{self.node.pid}/children").read_text().split()[0])

    def send(self, session, do, **keys):
        """Admitted, and to be awaited."""
        message = self.client.input(session, {"do": do, **keys}, executor="x")
        admission = self.client.ask(message, "admission")
        assert admission["outcome"] == "accepted", admission
        return message

    def done(self, message, seconds=15):
        completion = self.client.ask(message, "completion", timeout=seconds, again=1.0)
        assert completion, f"no completion of {message['body']} in {seconds} s"
        return completion

    def ask(self, session, do, seconds=15, **keys):
        return self.done(self.client.input(session, {"do": do, **keys}, executor="x"), seconds)

    def result(self, session, do, **keys):
        completion = self.ask(session, do, **keys)
        assert completion["outcome"] == "completed", completion
        return completion["result"]

    def error(self, session, do, kind, *words, **keys):
        """It is abandoned, after three attempts that all failed in the same way."""
        completion = self.ask(session, do, **keys)
        assert completion["outcome"] == "abandoned_with_error", completion
        assert completion["error"]["kind"] == kind, completion
        failures = [e["data"] for e in self.client.replay(session) if e.get("name") == "run_failed"]
        assert [f["will_retry"] for f in failures[-3:]] == [True, True, False], failures
        for failure in failures[-3:]:
            assert failure["error"]["kind"] == kind, failure
            assert all(word in failure["error"]["message"] for word in words), failure
        return completion

    def control(self, session, op, **args):
        answer = self.client.ask(self.client.command(session, op, args or None), "result")
        assert answer and answer["ok"], answer
        return answer["data"]

    def interrupt(self, session):
        """As soon as there is a run."""
        wait_until(lambda: self.control(session, "interrupt")["cancelled"], 10, f"a run of {session} is interrupted")

    def works(self, session="well"):
        """Whatever happened before."""
        assert self.result(session, "echo") == [{"do": "echo"}]

    def peak_bytes(self):
        for line in pathlib.Path(f"/proc/{self.node.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel does not say the node's peak")

    def end(self):
        """The node leaves, and no process remains."""
        supervisor = self.supervisor()
        self.node.terminate()
        assert self.node.wait(15) == 0, self.node.log()
        wait_until(lambda: gone(supervisor) and not self.alive(), 10, f"no process remains of {self.pids()}")


# --- what children may do ---

def test_a_run_carries_what_is_documented_and_its_state_comes_back():
    with Lab() as lab:
        pool = Pool(lab)
        first = pool.result("s1", "whole", idem="not the input's")
        assert set(first) == {"run", "session", "attempt", "fence", "generation", "state", "inputs", "visibility", "identity",
                              "injected"}, first
        assert first["session"] == "s1" and first["attempt"] == 1 and first["state"] is None and first["fence"] > 2**40, first
        assert first["visibility"] is None and first["identity"] is None and first["injected"] == [], first
        message = pool.client.input("s1", {"do": "whole"}, executor="x", corr="c", idem="k", handling="steer",
                                    visibility={"transcript": False})
        run = pool.done(message)["result"]
        assert run["state"] == "00ff" and run["run"] != first["run"], run
        assert run["inputs"] == [{"id": message["id"], "kind": "prompt", "body": {"do": "whole"}, "attempts": 1,
                                  "durability": "durable", "origin": "external", "handling": "steer", "ts": message["ts"],
                                  "born": message["born"], "corr": "c", "idem": "k",
                                  "visibility": {"transcript": False, "operator": True}}], run
        pool.node.kill()
        pool.node.start()
        assert pool.result("s1", "whole")["state"] == "00ff00ff"  # it was durable
        assert pool.result("s1", "forget") == "00ff00ff00ff"
        assert pool.result("s1", "forget") is None
        assert pool.ask("s1", "nothing")["outcome"] == "completed_without_result"
        pool.end()


def test_each_input_may_have_its_own_result():
    with Lab() as lab:
        pool = Pool(lab)
        event = {"executor": "x", "kind": "external_event", "event_type": "these run together"}
        pool.send("s1", "nap", seconds=0.5)
        messages = [pool.client.input("s1", {"do": "each", "n": n}, **event) for n in range(5)]
        pool.client.publish(messages)
        ends = [pool.done(m) for m in messages]
        assert [e["result"] for e in ends] == list(range(5)), ends
        assert len({e["run"] for e in ends}) < 5, "they never ran together"
        pool.send("s1", "nap", seconds=0.5)
        messages = [pool.client.input("s1", {"do": "echo", "n": n}, **event) for n in range(5)]
        pool.client.publish(messages)
        ends = {e["run"]: e["result"] for e in map(pool.done, messages)}
        assert sum(map(len, ends.values())) == 5 and len(ends) < 5, ends  # one for all of a run
        pool.end()


def test_events_of_a_run_are_numbered_with_the_sessions():
    with Lab() as lab:
        pool = Pool(lab)
        assert pool.result("s1", "events", events=[{"name": "a", "data": {"x": [1, 2.5]}}, {"name": "b.c"}]) == 1
        events = pool.client.replay("s1")
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1))
        own = [(e["name"], e["data"]) for e in events if e.get("name") in ("a", "b.c")]
        assert own == [("a", {"x": [1, 2.5]}), ("b.c", {})], own
        pool.error("s2", "events", "executor_failed", "run_failed", events=[{"name": "run_failed", "data": {}}])
        pool.works()
        pool.end()


def test_children_have_nothing_of_the_nodes():
    with Lab() as lab:
        pool = Pool(lab, env={"MEERKAT_LOG_LEVEL": "debug", "MEERKAT_RETAIN_MS": "86400000", "KEPT": "yes"})
        who = pool.result("s1", "who")
        assert who["env"] == {"MEERKAT_NODE": "n1", "MEERKAT_EXECUTOR_NAME": "x", "MEERKAT_EXECUTOR_CHILD": "0.1"}, who
        assert who["kept"] == "yes" and who["sid"] == who["pid"], who
        assert who["fds"][:3] == [0, 1, 2] and len(who["fds"]) == 4, who  # the fourth is the folder being listed
        pool.end()


def test_two_sessions_run_at_the_same_time_on_two_children():
    with Lab() as lab:
        pool = Pool(lab, children=2)
        messages = [pool.send(f"s{n}", "meet", path=str(lab.path / "meeting"), count=2) for n in range(2)]
        assert [pool.done(m)["result"] for m in messages] == ["met", "met"]
        pool.end()


def test_sessions_wait_in_the_order_in_which_they_came():
    with Lab() as lab:
        pool = Pool(lab)
        path = lab.path / "order"
        messages = [pool.send(f"s{n}", "order", path=str(path), n=n) for n in range(10)]
        assert [pool.done(m)["result"] for m in messages] == list(range(10))
        assert path.read_text().split() == [str(n) for n in range(10)]
        pool.end()


def test_the_examples_work():
    with Lab() as lab:
        lab.cluster(node_options=["--executor", f"py=exec:2:{sys.executable} {EXAMPLES / 'counter.py'}",
                                  "--executor", f"sh=exec:1:{EXAMPLES / 'echo.sh'}"])
        client = lab.client()
        bodies = [5, -7, "text", 300, {"a": [1, None, True, 2.5, "ü"]}, -40000, 70000, None]
        totals = [5, -2, -1, 299, 300, -39700, 30300, 30301]
        messages = [client.input("c", body, executor="py") for body in bodies]
        client.publish(messages)
        assert [client.ask(m, "completion")["result"] for m in messages] == [{"value": n} for n in totals]
        for n in range(3):
            message = client.input("e", {"n": n, "long": "x" * 70000 * n}, executor="sh")
            result = client.ask(message, "completion")["result"]
            assert result["session"] == "e" and result["inputs"][0]["id"] == message["id"], result
            assert result["inputs"][0]["body"] == message["body"]
        lab.n.terminate()
        assert lab.n.wait(15) == 0
        assert len((EXAMPLES / "counter.py").read_text().splitlines()) < 45


# --- what they must not ---

def test_a_child_killed_in_a_run_fails_the_run_and_is_replaced():
    with Lab() as lab:
        pool = Pool(lab)
        pool.error("s1", "kill", "executor_failed", "signal 9")
        pool.works()
        pool.error("s2", "die", "executor_failed", "exit status 7")
        pool.works()
        pool.error("s3", "close", "executor_failed", "closed its stdout")
        pool.works()
        pool.replaced(10)
        message = pool.send("s4", "hang")
        victim = pool.alive()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: any(e.get("name") == "run_failed" for e in pool.client.replay("s4")), 10, "it failed")
        pool.interrupt("s4")  # its second attempt hangs too
        assert pool.done(message)["outcome"] == "cancelled"
        pool.end()


test_a_child_killed_in_a_run_fails_the_run_and_is_replaced.seconds = 60


def test_a_run_past_its_deadline_is_ended():
    with Lab() as lab:
        pool = Pool(lab, options=["--run-ms", "400"])
        began = time.monotonic()
        pool.error("s1", "hang", "executor_failed", "--run-ms 400")
        assert time.monotonic() - began >= 1.2
        pool.works()
        pool.replaced(4)
        pool.end()


def test_a_boundary_cancel_asks_and_a_hard_one_insists():
    with Lab() as lab:
        pool = Pool(lab)
        message = pool.send("s1", "wait")
        assert pool.control("s1", "cancel_after_boundary")["cancelled"]
        assert pool.done(message)["outcome"] == "cancelled"
        message = pool.send("s1", "finish")
        pool.control("s1", "cancel_after_boundary")
        assert pool.done(message)["result"] is False
        message = pool.send("s1", "wait")
        pool.control("s1", "interrupt")
        assert pool.done(message)["outcome"] == "cancelled"
        assert len(pool.pids()) == 1, "a child that ends as it is asked to stays"
        message = pool.send("s1", "hang")
        pool.control("s1", "interrupt")
        began = time.monotonic()
        assert pool.done(message)["outcome"] == "cancelled"
        assert 1.5 < time.monotonic() - began < 6
        pool.works("s1")
        pool.replaced(2)
        pool.end()


def test_a_waiting_run_ends_at_once_when_it_is_cancelled():
    with Lab() as lab:
        pool = Pool(lab)
        pool.send("s1", "hang")
        waiting = pool.send("s2", "echo")
        began = time.monotonic()
        pool.control("s2", "interrupt")
        assert pool.done(waiting)["outcome"] == "cancelled"
        assert time.monotonic() - began < 1.5
        assert len(pool.alive()) == 1 == len(pool.pids())
        pool.control("s1", "interrupt")
        pool.works("s2")
        pool.end()


def test_stdout_that_is_flooded_costs_the_child_and_no_memory():
    with Lab() as lab:
        pool = Pool(lab)
        pool.works()
        before = pool.peak_bytes()
        pool.error("s1", "flood", "executor_failed", bytes=11 * MIB)
        assert pool.result("s2", "flood_after") == "fine"  # the answer was whole
        pool.works()
        pool.replaced(5)
        # Whether its bytes come before it is given the next run is a matter of chance; that run is tried again then.
        assert "while it had no run" in pool.node.log() or "an answer of no bytes" in pool.node.log()
        assert pool.peak_bytes() - before < GROWTH_BYTES, f"{before} grew to {pool.peak_bytes()}"
        pool.end()


def test_stderr_that_is_flooded_is_counted_and_no_memory():
    with Lab() as lab:
        pool = Pool(lab)
        pool.works()
        before = pool.peak_bytes()
        began = time.monotonic()
        assert pool.result("s1", "stderr", lines=20000) == "said"
        assert pool.result("s1", "stderr", lines=2, bytes=2 * MIB) == "said"
        seconds = time.monotonic() - began
        pool.works()
        lines = [line for line in pool.node.log().splitlines() if "the executor says" in line]
        assert 100 <= len(lines) <= 100 * (seconds + 2), (len(lines), seconds)
        assert max(map(len, lines)) < 2000
        assert "lines of an executor were left out" in pool.node.log()
        assert pool.peak_bytes() - before < GROWTH_BYTES
        assert len(pool.pids()) == 1, "a flood of words is no crime"
        pool.end()


def test_what_a_child_says_is_in_the_nodes_log():
    with Lab() as lab:
        pool = Pool(lab)
        pool.result("s1", "say", text="hello\tthere\033[1m")
        line = wait_until(lambda: next((x for x in pool.node.log().splitlines() if "hello" in x), None), 5, "it is logged")
        assert "executor=x" in line and f"pid={pool.pids()[0]}" in line and "session=s1" in line and " run=" in line, line
        assert 'line="hello there?[1m"' in line, line
        pool.end()


def test_garbage_costs_the_child():
    with Lab() as lab:
        pool = Pool(lab)
        pool.error("s1", "garbage", "executor_failed", "no answer")
        pool.works()
        pool.replaced(4)
        pool.error("s2", "print", "result_too_large", "Hell")  # its first four letters are a length
        pool.works()
        pool.replaced(7)
        pool.end()


def test_who_answers_without_reading_is_ended():
    with Lab() as lab:
        pool = Pool(lab)
        before = pool.peak_bytes()
        assert pool.result("s1", "blind") == "seen"
        # Longer than a pipe: it cannot have been read. The next child does.
        assert pool.result("s2", "echo", long="x" * 500000) == [{"do": "echo", "long": "x" * 500000}]
        failed = [e["data"] for e in pool.client.replay("s2") if e.get("name") == "run_failed"]
        assert len(failed) == 1 and "before it had read its run" in failed[0]["error"]["message"], failed
        assert pool.peak_bytes() - before < GROWTH_BYTES
        pool.end()


def test_a_result_too_large_fails_typed():
    with Lab() as lab:
        pool = Pool(lab)
        pool.works()
        before = pool.peak_bytes()
        pool.error("s1", "announce", "result_too_large", "2147483647", bytes=2**31 - 1)
        pool.replaced(4)  # who announced it is ended
        pool.error("s2", "large", "result_too_large", bytes=2 * MIB)  # it would not fit a frame
        pool.error("s3", "deep", "result_too_large", depth=32)
        pool.error("s4", "deep", "result_too_large", depth=100)
        assert len(pool.pids()) == 4, "who only said too much stays"
        value = pool.result("s5", "deep", depth=31)
        assert str(value) == "[" * 31 + "1" + "]" * 31
        assert len(pool.result("s6", "large", bytes=MIB // 2)) == MIB // 2
        assert pool.peak_bytes() - before < GROWTH_BYTES
        pool.end()


def test_a_failure_is_told_as_the_child_says_it():
    with Lab() as lab:
        pool = Pool(lab)
        pool.error("s1", "fail", "executor_failed", "no ??? today",
                   failure={"message": "no \x01\x02\x03 today", "kind": "budget_exhausted", "final": False})
        assert pool.result("s1", "whole")["state"] is None, "a failed run leaves no state"
        pool.error("s2", "fail", "executor_failed", "y" * 500, failure={"message": "y" * 5000})
        assert len(pool.pids()) == 1
        pool.end()


def test_grandchildren_end_with_the_child():
    with Lab() as lab:
        pool = Pool(lab)
        message = pool.send("s1", "fork", until=4, stay=True)
        wait_until(lambda: len(pool.alive()) == 4, 10, "all are there")
        pool.control("s1", "interrupt")
        assert pool.done(message)["outcome"] == "cancelled"
        first = pool.pids()[:4]
        assert all(map(gone, first)), "when a run has ended its processes have"
        message = pool.send("s2", "fork", until=8)  # and when the child ends by itself
        wait_until(lambda: any(e.get("name") == "run_failed" for e in pool.client.replay("s2")), 10, "it failed")
        assert all(map(gone, pool.pids()[4:8]))
        pool.interrupt("s2")
        assert pool.done(message)["outcome"] == "cancelled"
        pool.end()


def test_a_crash_loop_backs_off_and_fails_who_waits():
    with Lab() as lab:
        lab.r, lab.h = lab.redis(), lab.hub()
        starts, cure = lab.path / "starts", lab.path / "cure"
        command = f"echo $$ >> {starts}; test -e {cure} && exec {EXAMPLES / 'echo.sh'}; sleep 0.3; echo broken >&2; exit 3"
        lab.node(lab.r.store, lab.h.bus, options=["--executor", f"x=exec:1:{command}"])
        client = lab.client()
        began = time.monotonic()
        messages = [client.input(f"s{n}", n, executor="x") for n in range(6)]
        client.publish(messages)
        ends = [client.ask(m, "completion", timeout=40, again=2.0) for m in messages]
        seconds = time.monotonic() - began
        assert all(e["outcome"] == "abandoned_with_error" and e["error"]["kind"] == "executor_failed" for e in ends), ends
        told = [e["data"]["error"]["message"] for n in range(6) for e in client.replay(f"s{n}") if e.get("name") == "run_failed"]
        assert len(told) == 18 and all("exit status 3" in text for text in told), told
        assert sum("crash loop" in text for text in told) >= 6, told
        count = len(starts.read_text().split())
        assert 5 <= count <= 5 + seconds / 1.6 + 1, (count, seconds)  # 0.1, 0.2, 0.4, 0.8, 1.6...
        assert seconds < 30, seconds
        cure.touch()
        assert client.ask(client.input("s9", 1, executor="x"), "completion", timeout=25, again=2.0)["outcome"] == "completed"


test_a_crash_loop_backs_off_and_fails_who_waits.seconds = 90


# --- what outlives what ---

def test_nothing_outlives_a_node_that_is_killed():
    with Lab() as lab:
        pool = Pool(lab, children=3)
        pool.send("s1", "fork", until=6, stay=True)
        pool.send("s2", "hang")
        wait_until(lambda: len(pool.alive()) == 6, 10, "all are there")
        supervisor = pool.supervisor()
        pool.node.kill()
        wait_until(lambda: gone(supervisor) and not pool.alive(), 5, "all ended with their node")


def test_a_node_without_its_supervisor_ends_and_leaves_nothing():
    with Lab() as lab:
        pool = Pool(lab, children=2)
        message = pool.send("s1", "fork", until=5, stay=True)
        wait_until(lambda: len(pool.alive()) == 5, 10, "all are there")
        os.kill(pool.supervisor(), signal.SIGKILL)
        assert pool.node.wait(10) == 1, pool.node.log()
        assert "the supervisor of the executors has died" in pool.node.log()
        assert not pool.alive()
        pool.node.start()  # its runs are durable
        pool.interrupt("s1")
        assert pool.done(message)["outcome"] == "cancelled"
        pool.end()


def times(path):
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def test_children_of_a_node_that_stands_still_are_gone_before_another_owns():
    with Lab() as lab:
        pool = Pool(lab, children=2)
        beats = lab.path / "beats"
        message = pool.send("s1", "beat", path=str(beats))
        wait_until(lambda: times(beats), 10, "it runs")
        second = Pool(lab, name="n2", wait=False)
        paused = time.monotonic()
        pool.node.pause()
        done = pool.done(message, seconds=20)
        again = times(lab.path / "beats.again")
        assert done["outcome"] == "completed" and done["result"]["attempt"] == 2 and done["node"] == "n2", done
        assert len(again) == 1 and times(beats)[-1] < again[0], "two of them ran at the same time"
        assert times(beats)[-1] - paused < 1.0, "it ran longer than its lease"
        assert len(pool.alive()) == 1, "who had no run was spared"
        pool.node.go_on()
        wait_until(lambda: len(pool.alive()) == 2, 10, "the one that is gone is replaced")
        second.works()
        assert pool.node.running()
        second.end()
        pool.end()


test_children_of_a_node_that_stands_still_are_gone_before_another_owns.seconds = 60


def test_a_run_that_was_ended_for_its_node_pays_no_attempt():
    with Lab() as lab:
        pool = Pool(lab)
        beats = lab.path / "beats"
        message = pool.send("s1", "beat", path=str(beats))
        wait_until(lambda: times(beats), 10, "it runs")
        pool.node.pause()
        wait_until(lambda: not pool.alive(), 5, "its child is ended")
        pool.node.go_on()
        done = pool.done(message)
        assert done["outcome"] == "completed", done
        events = pool.client.replay("s1")
        assert not [e for e in events if e.get("name") == "run_failed"], events
        assert {e["data"]["run"] for e in events if e.get("name") == "run_started"} == {done["run"]}
        pool.replaced(2)
        pool.end()


def test_a_store_that_is_away_ends_what_runs_and_nothing_else():
    with Lab() as lab:
        pool = Pool(lab, children=2)
        beats = lab.path / "beats"
        message = pool.send("s1", "beat", path=str(beats))
        wait_until(lambda: times(beats), 10, "it runs")
        lab.r.pause()
        wait_until(lambda: len(pool.alive()) == 1, 5, "what ran is ended")
        time.sleep(0.5)
        assert len(pool.pids()) == 2, "nothing is started without a lease"
        lab.r.go_on()
        assert pool.done(message)["outcome"] == "completed"
        pool.end()


def test_a_node_that_leaves_takes_its_children_along():
    with Lab() as lab:
        pool = Pool(lab, children=3)
        message = pool.send("s1", "nap", seconds=1.0, n=4)
        pool.node.terminate()
        assert pool.done(message)["result"] == 4
        assert pool.node.wait(15) == 0
        wait_until(lambda: not pool.alive(), 5, "none remains")


def test_wrong_commands_are_refused_with_what_is_allowed():
    with Lab() as lab:
        for spec in ("exec:0:cat", "exec:257:cat", "exec:2:", "exec:cat"):
            end = lab.run(binary("meerkat-node"), "--executor", f"x={spec}", seconds=5)
            assert end.code == 2 and f"x={spec}" in end.err and "exec:N:COMMAND" in end.err, end
