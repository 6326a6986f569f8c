"""Inputs that go into a run at work (docs/executors.md): real children, and what becomes of the input when they refuse or die."""
import sys

from harness import Lab, wait_until
from owners import key
from test_executors import EXAMPLES, Pool


class Turn:
    """A run of session s1 that takes inputs in, on a node with one child."""

    def __init__(self, lab, **keys):
        self.pool = Pool(lab)
        self.path = lab.path / "turns"
        self.path.touch()
        self.run = self.pool.send("s1", "turn", path=str(self.path), **keys)
        self.live(1)

    def live(self, times):
        """So often a turn said that it takes inputs in, and the node has heard it: it was asked something since."""
        wait_until(lambda: len(self.path.read_text().split()) >= times, 10, f"{times} live boundaries")
        self.pool.control("s1", "state")

    def steer(self, **body):
        message = self.pool.client.input("s1", body, executor="x", handling="steer")
        admission = self.pool.client.ask(message, "admission")
        assert admission["outcome"] == "accepted" and admission["phase"] == "queued", admission
        return message

    def inject(self, sequence, **body):
        """It goes into the run."""
        done = self.pool.done(self.steer(**body))
        assert done["outcome"] == "completed_without_result", done
        assert done["receipt"] == {"run": done["run"], "sequence": sequence, "boundary": "run_checkpoint"}, done
        return done

    def end(self):
        done = self.pool.done(self.run)
        assert done["outcome"] == "completed", done
        return done


def test_a_steered_input_goes_into_the_run_and_its_receipt_before_the_runs():
    with Lab() as lab:
        turn = Turn(lab)
        first, second = turn.inject(1, n=1), turn.inject(2, n=2, end=True)
        done = turn.end()
        assert done["result"] == {"had": [], "took": [{"n": 1}, {"n": 2, "end": True}], "attempt": 1}, done
        assert first["run"] == second["run"] == done["run"]
        assert done["receipt"]["sequence"] == 3, done
        receipt = turn.pool.control("s1", "receipt", run=done["run"], sequence=2)["receipt"]
        assert receipt["inputs"] == [second["input"]] and receipt["boundary"] == "run_checkpoint", receipt
        show = turn.pool.control("s1", "show")
        assert show["active"] == 0 and show["phase"] == "attached", show
        assert not lab.r.query("HKEYS", key("s1", "i"))
        turn.pool.end()


def test_what_a_child_does_not_take_runs_by_itself():
    with Lab() as lab:
        turn = Turn(lab)
        refused = turn.steer(do="echo", take=False)
        silent = turn.steer(do="echo", mute=True)
        turn.inject(1, end=True)
        assert turn.end()["result"]["took"] == [{"end": True}]
        for message in (refused, silent):
            done = turn.pool.done(message)
            assert done["outcome"] == "completed" and message["body"] in done["result"], done
        turn.pool.end()


def test_a_child_that_dies_leaves_what_was_injected_to_the_next_attempt():
    with Lab() as lab:
        turn = Turn(lab, enough=1)
        turn.inject(1, die=True)
        assert turn.end()["result"]["had"] == [{"die": True}]
        failures = [e for e in turn.pool.client.replay("s1") if e.get("name") == "run_failed"]
        assert len(failures) == 1, failures
        assert turn.pool.result("s1", "whole")["injected"] == []  # a run has committed it
        turn.pool.end()


def test_a_node_that_is_killed_leaves_it_to_the_next_owner():
    with Lab() as lab:
        turn = Turn(lab, enough=2)
        turn.inject(1, n=1)
        turn.pool.node.kill()
        turn.pool.node.start()
        turn.live(2)
        turn.inject(2, n=2)  # of the same run
        turn.pool.node.kill()
        turn.pool.node.start()
        done = turn.end()
        assert done["result"] == {"had": [{"n": 1}, {"n": 2}], "took": [], "attempt": 3}, done
        assert done["receipt"]["sequence"] == 3, done
        turn.pool.end()


test_a_node_that_is_killed_leaves_it_to_the_next_owner.seconds = 60


def test_a_run_that_begins_anew_after_a_pause_of_its_node_has_it():
    with Lab() as lab:
        turn = Turn(lab, enough=1)
        turn.inject(1, n=1)
        turn.pool.node.pause()
        wait_until(lambda: not turn.pool.alive(), 5, "its child is ended")
        turn.pool.node.go_on()
        assert turn.end()["result"]["had"] == [{"n": 1}]
        assert not [e for e in turn.pool.client.replay("s1") if e.get("name") == "run_failed"]
        turn.pool.end()


def test_words_of_nothing_cost_the_child():
    with Lab() as lab:
        pool = Pool(lab)
        pool.error("s1", "invent", "executor_failed", "not asked to take in")
        pool.works()
        pool.error("s2", "stray", "executor_failed", "another run than its own")
        pool.works()
        pool.error("s3", "babble", "executor_failed", "more than 65536 words")
        pool.works()
        pool.end()


test_words_of_nothing_cost_the_child.seconds = 60


def test_a_child_that_answers_an_input_twice_has_taken_it_once():
    with Lab() as lab:
        turn = Turn(lab, enough=1)
        turn.inject(1, twice=True)
        assert turn.end()["result"]["had"] == [{"twice": True}]
        failures = [e["data"]["error"]["message"] for e in turn.pool.client.replay("s1") if e.get("name") == "run_failed"]
        assert len(failures) == 1 and "not asked to take in" in failures[0], failures
        turn.pool.end()


def test_a_run_may_end_while_a_long_input_is_on_its_way_to_it():
    with Lab() as lab:
        pool = Pool(lab)
        path = lab.path / "turns"
        path.touch()
        run = pool.send("s1", "overlook", path=str(path))
        wait_until(lambda: path.read_text(), 10, "its boundary is live")
        pool.control("s1", "state")
        later = pool.client.input("s1", {"do": "echo", "long": "x" * 500000}, executor="x", handling="steer")  # more than a pipe
        assert pool.client.ask(later, "admission")["outcome"] == "accepted"
        assert pool.done(run)["result"] == "unread"
        assert pool.done(later)["outcome"] == "completed"
        assert len(pool.pids()) == 1, "that is no fault of the child"
        pool.end()


def test_the_example_hears_what_is_sent_meanwhile():
    with Lab() as lab:
        lab.env["STEP"] = "1"
        lab.cluster(node_options=["--executor", f"steps=exec:1:{sys.executable} -B {EXAMPLES / 'steps.py'}"])
        client = lab.client()
        assert client.ask(client.input("s", "zero", executor="steps"), "completion")["result"] == "zero"
        for _ in range(8):  # a child that has not begun its run yet takes nothing in
            run = client.input("s", "one", executor="steps")
            assert client.ask(run, "admission")["outcome"] == "accepted"
            later = client.ask(client.input("s", "two", executor="steps", handling="steer"), "completion")
            if later["outcome"] == "completed_without_result":
                break
        assert later["outcome"] == "completed_without_result", later
        done = client.ask(run, "completion")
        assert done["run"] == later["run"] and done["result"] == "one, two", done
        lab.n.terminate()
        assert lab.n.wait(15) == 0
