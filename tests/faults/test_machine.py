"""Generated sequences of operations, edits, faults and external changes: in no order do they break an invariant.

The sequences of `make test` are always the same. `make sweep` runs others: 200 of 30 steps, or as many as
FLOW_RESOURCES_SEQUENCES says, in portions with one seed each, from FLOW_RESOURCES_SEED on. A failure shows the shortest
failing sequence as calls; the test's name contains the seed (`[7]`: FLOW_RESOURCES_SEED=7 repeats it), and the printed
`@reproduce_failure(...)`, put above `StackMachine`, repeats exactly that sequence.
"""

from __future__ import annotations

import os
import sys

import pytest
from faults.matrix import CRASHES, FAULTS
from faults.stateful_model import (
    HIGH_PRICE,
    LOW_PRICE,
    REGION,
    InjectedFault,
    Ref,
    Simulation,
    mounted,
    new_cluster,
    new_volume,
)
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from flow_resources.providers import base
from flow_resources.testing import Clock, FakeMithril

CLUSTERS, VOLUMES = ("a", "b"), ("x", "y")
# A hang and a refused connection take real time; the matrix has both.
FAULT_NAMES = [*(name for name in FAULTS if not name.startswith(("hang", "refused"))), *CRASHES]
SHORT, SHORT_STEPS = 20, 12
LONG, LONG_STEPS = int(os.environ.get("FLOW_RESOURCES_SEQUENCES", "200")), 30
PORTION, FIRST = 20, int(os.environ.get("FLOW_RESOURCES_SEED", "1"))

# Mostly the same name: several steps for one resource find more than one step for each of several.
cluster_names, volume_names = st.sampled_from("aaab"), st.sampled_from("xxxy")


def inputs(names, **values):
    """Generate a change of some inputs of a resource."""
    return st.tuples(names, st.fixed_dictionaries(values))


changes = st.one_of(
    inputs(cluster_names, max_price_per_hour=st.sampled_from([50.0, 60.0])),
    inputs(cluster_names, paused=st.booleans()),
    inputs(cluster_names, num_instances=st.integers(1, 2), create_first=st.booleans()),
    inputs(cluster_names, command=st.sampled_from(["sleep 1", None]), env=st.sampled_from([{"A": "b"}, None])),
    inputs(cluster_names, volumes=st.lists(volume_names, unique=True)),
    inputs(volume_names, volume_name=st.sampled_from(["corpus", "checkpoints", None])),
    inputs(volume_names, size_gb=st.sampled_from([100, 200]), allow_replace=st.booleans()),
    st.tuples(cluster_names | volume_names, st.sampled_from(["add", "remove"])),
)
external_changes = st.tuples(
    st.integers(0, 3),
    st.sampled_from(
        ["preempt", "terminate", "price", "pause", "resume", "detach", "delete", "rename", "market", "wait"]
    ),
)
injected_faults = st.builds(
    InjectedFault,
    st.sampled_from(CRASHES) | st.sampled_from(FAULT_NAMES),
    st.integers(1, 12),
    st.sampled_from([True, True, False]),
)
OPERATIONS = ("up", "up", "up", "up", "recover", "refresh", "refresh", "replace", "destroy", "preview")


class StackMachine(RuleBasedStateMachine):
    """The rules: what can happen next."""

    cloud: FakeMithril

    @initialize(
        boot=st.sampled_from([0.0, 3.0]),
        notice=st.sampled_from([0.0, 2.0]),
        cancel=st.sampled_from([0.0, 1.0]),
        detach=st.sampled_from([0.0, 1.0]),
        idempotency=st.sampled_from(["dedupe", "ignore", "terminated"]),
        keep=st.booleans(),
        first=st.booleans(),
    )
    def begin(self, boot, notice, cancel, detach, idempotency, keep, first):
        """Start a cloud with some options, and a program with one cluster, replaced in either order."""
        self.cloud.reset()
        self.cloud.set_options(
            boot_seconds=boot, preemption_notice_seconds=notice, cancel_seconds=cancel, detach_seconds=detach,
            idempotency=idempotency, keep_instance_ids=keep,
        )  # fmt: skip
        self.simulation = Simulation(self.cloud, {"a": new_cluster(create_first=first)})

    @rule(
        events=st.lists(changes | external_changes, max_size=3),
        operation=st.sampled_from(OPERATIONS),
        name=cluster_names,
        injected=st.none() | injected_faults,
    )
    def run_operation(self, events, operation, name, injected):
        """Edit the program, change the service externally, and run an operation, possibly with a fault."""
        for target, change in events:
            if isinstance(target, int):
                self._change_externally(target, change)
            else:
                self._edit(target, change)
        simulation = self.simulation
        if operation == "replace":
            simulation.up(force=name, injected=injected)
        elif operation == "destroy" and not simulation.lost_creates:  # the user runs `up` again first
            simulation.destroy(injected=injected)
        elif operation == "refresh":
            simulation.refresh(injected=injected)
        elif operation == "preview":
            simulation.preview()
        elif operation == "recover":
            simulation.recover()
        else:
            simulation.up(injected=injected)

    # -- edits of the program ----------------------------------------------------------------------------------------

    def _edit(self, name, change):
        """Edit the program, if the edit makes sense."""
        simulation = self.simulation
        lost, declared = name in simulation.names_of_lost_creates(), name in simulation.program
        if change == "add" and not declared:
            simulation.declare(name, new_cluster() if name in CLUSTERS else new_volume())
        elif change == "remove" and declared and not lost:  # the user runs `up` again first
            simulation.remove(name)
        elif declared and isinstance(change, dict) and self._is_sensible(name, change, lost=lost):
            if "volumes" in change:
                volumes = [volume for volume in change["volumes"] if volume in simulation.program]
                mounts = [{"volume_id": Ref(volume), "mount_path": f"/mnt/{volume}"} for volume in volumes]
                change = {"volumes": mounts or None}
            simulation.edit(name, **change)

    def _is_sensible(self, name, change, *, lost):
        """Whether a user who knows the docs would write that."""
        others = [declared for key, declared in self.simulation.program.items() if key != name]
        if chosen := change.get("volume_name"):  # unique; and what a killed plugin created is found by its name
            return not lost and chosen not in [declared.inputs.get("volume_name") for declared in others]
        if "volume_name" in change:
            return not lost
        if "size_gb" in change and "volume_name" in self.simulation.program[name].inputs:
            # In the delete-first order the engine also replaces what mounts it, which is not tested here.
            return not lost and not any(name in mounted(declared) for declared in others)
        return True

    # -- external changes --------------------------------------------------------------------------------------------

    def _change_externally(self, pick, what):
        """Change the service without the stack."""
        simulation, cloud = self.simulation, self.cloud
        if what == "wait":
            cloud.clock.advance(10.0 * pick)
            return
        snapshot, simulation.needs_refresh = simulation.observe(), True
        if what == "market":
            cloud.set_price("8xa100", REGION, HIGH_PRICE if pick else LOW_PRICE)
            return
        live = snapshot.volumes if what in ("delete", "rename") else snapshot.bids
        recorded = sorted(set(snapshot.recorded) & set(live))
        if not recorded:
            return
        id_ = recorded[pick % len(recorded)]
        {
            "preempt": lambda: live[id_]["status"] == "Allocated" and cloud.preempt(id_),
            "terminate": lambda: cloud.terminate(id_),
            "price": lambda: cloud.update_bid(id_, limit_price="$70.00"),
            "detach": lambda: cloud.update_bid(id_, volumes=[]),
            "pause": lambda: cloud.update_bid(id_, paused=True),
            "resume": lambda: cloud.update_bid(id_, paused=False),
            "delete": lambda: cloud.delete_volume(id_, force=True),  # also if machines use it
            "rename": lambda: cloud.update_volume(id_, name=f"renamed-{id_.removeprefix('vol_')}"),
        }[what]()

    def teardown(self):
        """Recover, and destroy: every sequence can end with nothing left."""
        if hasattr(self, "simulation") and sys.exc_info()[0] is None:  # else this would hide the failure
            self.simulation.recover()
            self.simulation.destroy()


@pytest.fixture
def run_sequences(clean_environment):
    """Run this many sequences of this many steps, all on one server."""
    with FakeMithril(clock=Clock(speed=0)) as cloud:

        def run(sequences, steps, seeded=None):
            class Machine(StackMachine):
                pass

            Machine.cloud = cloud
            if seeded is not None:
                Machine = seed(seeded)(Machine)  # noqa: N806 - a class
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=sequences,
                    stateful_step_count=steps,
                    derandomize=seeded is None,
                    database=None,
                    deadline=None,
                    print_blob=True,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate, Phase.shrink],
                ),
            )

        yield run
        base.current().close()


def test_no_sequence_breaks_an_invariant(run_sequences):
    """The same sequences in every run."""
    run_sequences(SHORT, SHORT_STEPS)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeded", range(FIRST, FIRST + -(-LONG // PORTION)))
def test_no_long_sequence_breaks_an_invariant(run_sequences, seeded):
    """Other sequences for each seed."""
    run_sequences(min(PORTION, LONG), LONG_STEPS, seeded)
