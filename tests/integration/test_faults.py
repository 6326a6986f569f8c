"""What breaks in the field, done to real processes under load; the history checker judges what came over the wire."""
import time

from harness import Lab, wait_until
from load import Load

INPUTS, SESSIONS = 3000, 60


def loaded(lab, inputs=INPUTS, window=250):
    """A cluster, and a load of which a quarter is completed."""
    lab.cluster()
    load = Load(lab.client(watch="*"), window=window).add_counters(inputs, SESSIONS)
    return load.run_until(lambda: load.completed >= inputs // 4, 20, "a quarter is completed")


def finished(load, lab, inputs=INPUTS):
    load.finish()
    assert load.completed == inputs and load.accepted == inputs, load
    load.check()
    assert lab.n.green()


def test_redis_killed_and_restarted_under_load():
    with Lab() as lab:
        load = loaded(lab)
        lab.r.kill()
        wait_until(lambda: (load.step(), not lab.n.green())[1], 10, "readiness goes red")
        load.run_for(0.5)  # what was committed before the kill may still be on its way
        silent_from = time.monotonic()
        load.run_for(1.5)
        silent_to = time.monotonic()
        lab.r.start()
        wait_until(lambda: (load.step(), lab.n.green())[1], 15, "readiness goes green")
        finished(load, lab)
        for what, answers in (("accepted", load.history.accepted), ("completed", load.history.completed)):
            between = [i for at, i in answers if silent_from < at < silent_to]
            assert not between, f"{what} without a store: {between[:5]}"
        assert set(load.history.rejections) <= {"overloaded", "unavailable"}, load.history.rejections


def test_redis_that_stands_still_holds_everything_back():
    with Lab() as lab:
        load = loaded(lab)
        lab.r.pause()
        load.run_for(2.0)
        lab.r.go_on()
        wait_until(lambda: (load.step(), lab.n.green())[1], 15, "readiness goes green")
        finished(load, lab)


def fences(load):
    return {fence for numbers in load.history.events.values() for contents in numbers.values() for fence in contents}


def test_a_node_stopped_beyond_its_lease_makes_one_history():
    with Lab() as lab:
        load = loaded(lab)
        lab.n.pause()
        load.run_for(2.5)
        lab.n.go_on()
        finished(load, lab)


def test_a_node_that_comes_back_after_another_took_over_changes_nothing():
    with Lab() as lab:
        load = loaded(lab)
        lab.n.pause()
        done = load.completed
        zombie, lab.n = lab.n, lab.node(lab.r.store, lab.h.bus, name="n2", wait=False)
        load.run_until(lambda: load.completed > done + INPUTS // 4, 20, "the other goes on")
        lab.n.wait_ready()
        zombie.go_on()
        finished(load, lab)
        assert len(fences(load)) > 1, "nobody took over"
        assert zombie.running()


def test_a_node_killed_under_load_loses_and_doubles_nothing():
    with Lab() as lab:
        load = loaded(lab)
        for _ in range(2):
            lab.n.kill()
            lab.n.start(wait=False)
            done = load.completed
            load.run_until(lambda: load.completed >= min(done + INPUTS // 4, INPUTS), 20, "it goes on")
            lab.n.wait_ready()
        finished(load, lab)


def test_a_hub_killed_and_restarted_is_a_gap_and_no_loss():
    with Lab() as lab:
        load = loaded(lab)
        lab.h.kill()
        load.run_for(0.3)
        lab.h.start()
        finished(load, lab)
        assert lab.n.green()


def test_a_node_asked_to_leave_finishes_its_run_first():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        message = client.input("s1", 1000, executor="sleep")
        assert client.ask(message, "admission")["outcome"] == "accepted"
        lab.n.terminate()
        done = client.ask(message, "completion", again=60)
        assert done and done["outcome"] == "completed" and done["result"] == 1000, done
        assert lab.n.wait(10) == 0, lab.n.log()
        lab.n.start()  # what it left is whole, and free at once
        assert client.ask(client.input("s1", 1, executor="sleep"), "completion")["outcome"] == "completed"


def test_leaving_has_a_bound_and_a_second_signal_ends_it_now():
    with Lab() as lab:
        lab.cluster()
        client = lab.client()
        assert client.ask(client.input("s1", 600000, executor="sleep"), "admission")["outcome"] == "accepted"
        lab.n.terminate()
        wait_until(lambda: not lab.n.green(), 5, "a leaving node is not ready")
        assert lab.n.running()
        lab.n.terminate()
        began = time.monotonic()
        lab.n.wait(5)
        assert time.monotonic() - began < 2


def test_a_hub_leaves_at_once_when_told():
    with Lab() as lab:
        load = loaded(lab)
        lab.h.terminate()
        assert lab.h.wait(5) == 0, lab.h.log()
        lab.h.start()
        finished(load, lab)
