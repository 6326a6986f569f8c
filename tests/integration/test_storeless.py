"""No argument at all: a node with everything inside. In a network of its own, since it takes the default address."""
from harness import Daemon, Lab, Process, binary, wait_until


def alone(lab, *options):
    """A node on the default address; the lab's bus stays the default too."""
    return lab.add(Daemon(lab, "alone", [binary("meerkat-node"), *options]))


def test_a_node_without_arguments_says_so_and_serves():
    with Lab(own_network=True) as lab:
        node = lab.add(Process(lab, "bare", [binary("meerkat-node")])).start()
        wait_until(lambda: node.text().startswith("ready "), 15, "the ready line on stdout")
        first = "\n".join(node.log().splitlines()[:3])
        assert "memory" in first and "hub" in first, first
        done = lab.cli("send", "s1", "hello", "--wait")
        assert done.code == 0 and "hello" in done.out, done
        lines = lab.cli("send", "s1", "hello", "--wait", "--json").lines()
        assert lines[-1]["outcome"] == "completed" and lines[-1]["result"] == "hello", lines
        node.terminate()
        assert node.wait(10) == 0, node.log()


def test_a_taken_address_is_refused_with_the_remedy():
    with Lab(own_network=True) as lab:
        alone(lab, "--http", "127.0.0.1:0").start()
        second = lab.run(binary("meerkat-node"), "--http", "127.0.0.1:0")
        assert second.code == 2 and "--bus" in second.err.splitlines()[-1], second
        hub = lab.run(binary("meerkat-hub"), "--http", "127.0.0.1:0")
        assert hub.code == 2 and "127.0.0.1:740" in hub.err, hub


def test_a_store_in_memory_is_a_cluster_of_one():
    with Lab() as lab:
        hub = lab.h = lab.hub()
        first = lab.node("memory:", hub.bus, name="a")
        wait_until(first.green, 10, "the first is ready")
        lab.node("memory:", hub.bus, name="b", wait=False)
        wait_until(lambda: not first.green(), 10, "the first hears another and is not ready")
