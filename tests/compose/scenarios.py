"""What is done to the cluster, one thing after the other, each under load of its own. A scenario heals what it broke, and ends when
everything is answered and its history is as promised; it returns what to say about it."""
import json
import os
import re

from engine import NODES, Failed, docker, works
from harness import wait_until
from traffic import Traffic

LEASE_MS = 1500
LEASE = LEASE_MS / 1000
PARTITIONS = 256
TAKEN_OVER = LEASE + 5  # how long a dead node's sessions may wait, on a machine that does much else
HANDED_OVER = 3  # how long nobody may wait when a node leaves in order
HUB_PORTS, REDIS_PORTS = (7400, 7401), (6379,)


class Cluster:
    """The project, a client on its bus, and every load that it was given."""

    def __init__(self, project, client):
        self.project, self.client, self.loads = project, client, []

    def traffic(self, name):
        """A load that is already running well."""
        self.project.wait_ready()
        traffic = Traffic(self.client, name)
        traffic.go_on(1)
        traffic.served(15, "the load is served before anything is done to it")
        self.loads.append(traffic)
        return traffic

    def busiest(self):
        owned = self.project.owned()
        return max(owned, key=owned.get)


def root():
    return os.geteuid() == 0


# --- the scenarios ----------------------------------------------------------------------------------------------------


def three_nodes_come_up(cluster):
    project = cluster.project
    project.wait_ready()
    for service in ("redis", "hub", *NODES):
        wait_until(lambda s=service: project.state(s)["Health"]["Status"] == "healthy", 30, f"Docker calls {service} healthy")
        user = project.exec(service, "id", "-u").strip()
        assert user != "0", f"{service} runs as root"
    wait_until(lambda: sum(project.owned().values()) == PARTITIONS, 30, "every partition is owned")
    wait_until(lambda: all(project.owned().values()), 30, "each node owns its share")
    traffic = cluster.traffic("up")
    traffic.go_on(1)
    traffic.finish()
    return f"owned {project.owned()}; {traffic}"


def a_node_is_killed(cluster):
    """kill -9 by the machine, so that Docker sees a crash, and starts it again by the restart policy."""
    project, node = cluster.project, cluster.busiest()
    traffic = cluster.traffic("kill")
    before = project.inspect(node)["RestartCount"]

    def kill():
        if root():
            os.kill(project.state(node)["Pid"], 9)
        else:  # Docker holds this for a stop, and does not start it again
            docker("kill", project.container(node))
            docker("start", project.container(node))

    traffic.during(kill)
    traffic.served(TAKEN_OVER, "the others took over")
    traffic.during(lambda: project.wait_ready(node))
    if root():
        assert project.inspect(node)["RestartCount"] == before + 1, "Docker did not start it again"
    traffic.go_on(1)
    traffic.finish()
    return f"{node}: {traffic}"


def a_node_stands_still_beyond_its_lease(cluster):
    project, node = cluster.project, cluster.busiest()
    traffic = cluster.traffic("pause")
    began = project.state(node)["StartedAt"]
    traffic.during(lambda: docker("pause", project.container(node)))
    try:
        traffic.go_on(LEASE)
        traffic.served(TAKEN_OVER, "the others took over")
    finally:
        docker("unpause", project.container(node))
    traffic.during(lambda: project.wait_ready(node))
    assert len(traffic.fences()) > 1, "nobody took over"
    assert project.state(node)["StartedAt"] == began, f"{node} was started anew: that is not the one that stood still"
    traffic.go_on(1)
    traffic.finish()
    return f"{node}: {traffic}"


def a_node_loses_its_network(cluster):
    project, node = cluster.project, cluster.busiest()
    traffic = cluster.traffic("unplug")
    container, network = project.container(node), f"{project.name}_default"
    traffic.during(lambda: docker("network", "disconnect", network, container))
    try:
        traffic.go_on(LEASE)
        traffic.served(TAKEN_OVER, "the others took over")
        assert not traffic.during(lambda: project.ready(node)), f"{node} calls itself ready without a network"
    finally:
        docker("network", "connect", "--alias", node, network, container)
    traffic.during(lambda: project.wait_ready(node))
    traffic.finish()
    return f"{node}: {traffic}"


def cut(project, node, ports, healed=False):
    """Packets to and from these ports vanish, and nobody is told. Healed: no longer."""
    pid = str(project.state(node)["Pid"])
    for port in map(str, ports):
        for chain, side in (("OUTPUT", "--dport"), ("INPUT", "--sport")):
            rule = [chain, "-p", "tcp", side, port, "-j", "DROP"]
            words = ["nsenter", "-t", pid, "-n", "iptables", "-w", "5", "-D" if healed else "-A", *rule]
            if not works(words) and not healed:
                raise Failed(f"cannot cut: {' '.join(words)}")


def no_cuts_here(project):
    """Why packets cannot be dropped here; None when they can."""
    if not root():
        return "only root may drop packets in a container's network"
    pid = str(project.state("node-1")["Pid"])
    return None if works(["nsenter", "-t", pid, "-n", "iptables", "-L"]) else "nsenter and iptables are wanted"


def a_node_cannot_reach_redis(cluster):
    project, node = cluster.project, cluster.busiest()
    traffic = cluster.traffic("cut-redis")
    traffic.during(lambda: cut(project, node, REDIS_PORTS))
    try:
        traffic.go_on(LEASE)
        traffic.served(TAKEN_OVER, "the others took over")
        assert not traffic.during(lambda: project.ready(node)), f"{node} calls itself ready without a store"
    finally:
        cut(project, node, REDIS_PORTS, healed=True)
    traffic.during(lambda: project.wait_ready(node))
    traffic.finish()
    return f"{node}: {traffic}"


def a_node_cannot_reach_the_hub(cluster):
    """It hears nothing and is not heard, while its leases are fine: its sessions wait, or somebody else's turn has come."""
    project, node = cluster.project, cluster.busiest()
    traffic = cluster.traffic("cut-hub")
    traffic.during(lambda: cut(project, node, HUB_PORTS))
    try:
        traffic.go_on(2 * LEASE)
        traffic.during(lambda: wait_until(lambda: not project.ready(node), 15, f"{node} notices that it hears nothing"))
    finally:
        cut(project, node, HUB_PORTS, healed=True)
    traffic.served(30, "what waited is served")
    traffic.during(lambda: project.wait_ready(node))
    traffic.finish()
    return f"{node}: {traffic}"


a_node_cannot_reach_redis.needs = a_node_cannot_reach_the_hub.needs = no_cuts_here


def redis_is_killed_and_started(cluster):
    project = cluster.project
    traffic = cluster.traffic("redis")
    traffic.during(lambda: docker("kill", project.container("redis")))
    traffic.go_on(1)
    traffic.during(lambda: docker("start", project.container("redis")))
    traffic.served(30, "the nodes found it again")
    traffic.during(project.wait_ready)
    traffic.go_on(1)
    traffic.finish()
    return str(traffic)


def the_hub_is_restarted(cluster):
    project, client = cluster.project, cluster.client
    traffic = cluster.traffic("hub")
    traffic.during(lambda: docker("restart", "-t", "10", project.container("hub")))
    client.close()
    client.bus_in, client.bus_out = project.bus().split("|")  # Docker chose other ports
    traffic.served(30, "everybody found it again")
    traffic.during(project.wait_ready)
    traffic.go_on(1)
    traffic.finish()
    return str(traffic)


def nodes_are_replaced_one_by_one(cluster):
    """Each is told to leave, hands over, and ends with 0; a new container takes its place. Nobody is refused meanwhile."""
    project = cluster.project
    traffic = cluster.traffic("rolling")
    receipts = []
    for node, leave in zip(NODES, (drain, stop, stop)):
        receipts.append(traffic.during(lambda n=node, how=leave: replace(project, n, how), 60))
    traffic.go_on(1)
    traffic.finish()
    assert not traffic.load.history.rejections, f"refused: {traffic.load.history.rejections}"
    assert traffic.slowest() < HANDED_OVER, f"somebody waited as if a node had died: {traffic.slow(HANDED_OVER)}"
    moved = sum(receipt["partitions"] for receipt in receipts)
    return f"{moved} partitions handed over in {sum(receipt['ms'] for receipt in receipts)} ms; {traffic}"


nodes_are_replaced_one_by_one.seconds = 150


def drain(project, node):
    """By an operator's command on another node."""
    other = next(other for other in NODES if other != node)
    answer = project.exec(other, "meerkat", "drain", node, "--json")
    assert json.loads(answer.splitlines()[-1])["node"] == node, answer
    wait_until(lambda: not project.state(node)["Running"], 15, f"{node} ends")


def stop(project, node):
    """By SIGTERM, with the grace that compose.yaml gives."""
    project.compose("stop", node)


def replace(project, node, leave):
    """Returns the receipt of the one that left."""
    old, others = project.container(node), [other for other in NODES if other != node]
    leave(project, node)
    owned = project.owned(others)
    state, log = project.state(node), project.logs(node)
    assert not state["Running"] and state["ExitCode"] == 0, f"{node} ended with {state['ExitCode']}:\n{log[-2000:]}"
    assert sum(owned.values()) == PARTITIONS, f"{node} has left, and the others own {owned}"
    receipts = re.findall(r"^left (\{.*\})$", log, re.M)
    assert len(receipts) == 1, f"{node} left with {len(receipts)} receipts:\n{log[-2000:]}"
    receipt = json.loads(receipts[0])
    add_up(node, receipt)
    project.remove(node)
    project.up(node)
    assert project.container(node) != old
    project.wait_ready(node)
    wait_until(lambda: all(project.owned().values()), 30, "the new one gets its share")
    return receipt


def add_up(node, receipt):
    moved = receipt["moved"]
    assert receipt["node"] == node and receipt["partitions"] == len(moved) > 0, receipt
    for what in ("sessions", "refused"):
        assert sum(one[what] for one in moved) == receipt[what], f"{what} do not add up: {receipt}"
    assert receipt["refused"] == 0, receipt
    assert {one["successor"] for one in moved} <= set(NODES) - {node}, receipt


def everything_is_still_there(cluster):
    """Every session of every load read again from its first event; and the demo, which was there all the time, was right."""
    for traffic in cluster.loads:
        traffic.load.check()
    log = cluster.project.logs("demo")
    done, wrong = re.findall(r"^.* \+\d+ = \d+  by .*$", log, re.M), re.findall(r"^.*(?:WRONG|not completed).*$", log, re.M)
    assert done and not wrong, "\n".join(wrong[:5]) or f"the demo printed no completion:\n{log[-2000:]}"
    state = cluster.project.state("demo")
    assert state["Running"], state
    inputs = sum(traffic.load.completed for traffic in cluster.loads)
    events = sum(len(numbers) for traffic in cluster.loads for numbers in traffic.load.history.events.values())
    return f"{inputs} inputs, {events} events without a gap; the demo printed {len(done)} completions, its last: {done[-1].strip()}"


SCENARIOS = (three_nodes_come_up, a_node_is_killed, a_node_stands_still_beyond_its_lease, a_node_loses_its_network,
             a_node_cannot_reach_redis, a_node_cannot_reach_the_hub, redis_is_killed_and_started, the_hub_is_restarted,
             nodes_are_replaced_one_by_one, everything_is_still_there)
