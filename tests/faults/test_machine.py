"""Made-up lives of a stack: whatever a user, the market and bad luck do, in whatever order, no promise breaks.

The lives of an ordinary run are always the same ones. `make sweep` lives others: 200 of 30 steps, or as many as
FLOW_RESOURCES_LIVES says, in portions with a seed each, FLOW_RESOURCES_SEED onwards. A failure shows the shortest life
that fails, as calls that can be read; the seed stands in the test's name (`[7]`: FLOW_RESOURCES_SEED=7 does it again),
and the line `@reproduce_failure(...)` that is printed, put on top of `Lives`, repeats exactly that one.
"""

from __future__ import annotations

import functools
import os
import ssl
import sys

import pytest
from faults.lives import CALM_PRICE, DEAR_PRICE, REGION, Life, Ref, Strike, mounted, new_cluster, new_volume
from faults.matrix import CRASHES, FAULTS
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from flow_resources.providers import session
from flow_resources.testing import Clock, FakeMithril

CLUSTERS, VOLUMES = ("a", "b"), ("x", "y")
# A hang takes real time, and so does a server that is not there; the matrix has both.
STRIKES = [*(name for name in FAULTS if not name.startswith(("hang", "refused"))), *CRASHES]
SHORT, SHORT_STEPS = 40, 20
LONG, LONG_STEPS = int(os.environ.get("FLOW_RESOURCES_LIVES", "200")), 30
PORTION, FIRST = 20, int(os.environ.get("FLOW_RESOURCES_SEED", "1"))

cluster_names, volume_names = st.sampled_from(CLUSTERS), st.sampled_from(VOLUMES)
strikes = st.builds(Strike, st.sampled_from(STRIKES), st.integers(1, 12), st.booleans())
maybe = st.none() | strikes
changes = st.one_of(
    st.tuples(cluster_names, st.fixed_dictionaries({"max_price_per_hour": st.sampled_from([50.0, 60.0])})),
    st.tuples(cluster_names, st.fixed_dictionaries({"paused": st.booleans()})),
    st.tuples(
        cluster_names, st.fixed_dictionaries({"num_instances": st.integers(1, 2), "create_first": st.booleans()})
    ),
    st.tuples(cluster_names, st.sampled_from([{"command": "sleep 1"}, {"env": {"A": "b"}}, {"env": None}])),
    st.tuples(cluster_names, st.fixed_dictionaries({"volumes": st.lists(volume_names, unique=True)})),
    st.tuples(volume_names, st.fixed_dictionaries({"volume_name": st.sampled_from(["corpus", "checkpoints", None])})),
    st.tuples(
        volume_names,
        st.fixed_dictionaries({"size_gb": st.sampled_from([100, 200]), "allow_replace": st.booleans()}),
    ),
    st.tuples(cluster_names | volume_names, st.sampled_from(["add", "remove"])),
)


class Lives(RuleBasedStateMachine):
    """Rules: what can happen next."""

    cloud: FakeMithril

    @initialize(
        boot=st.sampled_from([0.0, 3.0]),
        notice=st.sampled_from([0.0, 2.0]),
        cancel=st.sampled_from([0.0, 1.0]),
        detach=st.sampled_from([0.0, 1.0]),
        idempotency=st.sampled_from(["dedupe", "ignore", "terminated"]),
        keep=st.booleans(),
    )
    def begin(self, boot, notice, cancel, detach, idempotency, keep):
        """A cloud of one temper or another, and a program with one cluster."""
        self.cloud.reset()
        self.cloud.set_options(
            boot_seconds=boot, preemption_notice_seconds=notice, cancel_seconds=cancel, detach_seconds=detach,
            idempotency=idempotency, keep_instance_ids=keep,
        )  # fmt: skip
        self.life = Life(self.cloud, {"a": new_cluster()})

    # -- what a user writes -----------------------------------------------------------------------------------------

    @rule(change=changes)
    def edit(self, change):
        """The program, before anything else happens."""
        self._write(*change)

    def _write(self, name, change):
        """Write a change into the program, where it makes sense."""
        life = self.life
        cut_off, there = name in life.cut_off(), name in life.program
        if change == "add" and not there:
            life.declare(name, new_cluster() if name in CLUSTERS else new_volume())
        elif change == "remove" and there and not cut_off:  # the user runs `up` again first
            life.remove(name)
        elif there and isinstance(change, dict) and self._sensible(name, change, cut_off=cut_off):
            if "volumes" in change:
                known = [one for one in change["volumes"] if one in life.program]
                mounts = [{"volume_id": Ref(one), "mount_path": f"/mnt/{one}"} for one in known]
                change = {"volumes": mounts or None}
            life.edit(name, **change)

    def _sensible(self, name, change, *, cut_off):
        """Whether a user who knows the README would write that."""
        others = [one for key, one in self.life.program.items() if key != name]
        if chosen := change.get("volume_name"):  # a name for each; and what a killed plugin made is found by its name
            return not cut_off and chosen not in [one.inputs.get("volume_name") for one in others]
        if "volume_name" in change:
            return not cut_off
        if "size_gb" in change and "volume_name" in self.life.program[name].inputs:
            # Replaced in the delete-first order it takes what mounts it along: the engine's business, not ours.
            return not cut_off and not any(name in mounted(one) for one in others)
        return True

    # -- what a user runs -------------------------------------------------------------------------------------------

    @rule()
    def preview(self):
        """Places and changes nothing."""
        self.life.preview()

    @rule(change=st.none() | changes)
    def up(self, change):
        """On an ordinary day."""
        self._write(*change or ("", ""))
        self.life.up()

    @rule(change=changes, struck=strikes)
    def up_under_fire(self, change, struck):
        """With a fault at one call, or a crash."""
        self._write(*change)
        self.life.up(struck=struck)

    @rule(change=changes, struck=strikes, once_more=changes)
    def up_under_fire_and_another_program(self, change, struck, once_more):
        """The user thinks of something else before running `up` again."""
        self._write(*change)
        self.life.up(struck=struck)
        self._write(*once_more)
        self.life.up()

    @rule(name=cluster_names, struck=maybe)
    def replace(self, name, struck):
        """`--target-replace`."""
        self.life.up(force=name, struck=struck)

    @rule(struck=maybe)
    def refresh(self, struck):
        """Alone."""
        self.life.refresh(struck=struck)

    @rule()
    def recover(self):
        """`up --refresh` on a calm day."""
        self.life.recover()

    @precondition(lambda self: not self.life.lost)
    @rule(struck=maybe)
    def destroy(self, struck):
        """Everything."""
        self.life.destroy(struck=struck)

    # -- what others do ---------------------------------------------------------------------------------------------

    def _ours(self, kind, pick):
        """Pick one of our own that is live."""
        seen = self.life.look()
        ids = sorted(set(seen.recorded) & set(getattr(seen, kind)))
        return ids[pick % len(ids)] if ids else None

    @rule(pick=st.integers(0, 3))
    def preempt(self, pick):
        """The auction takes the machines."""
        id_ = self._ours("bids", pick)
        if id_ and self.cloud.bid(id_)["status"] == "Allocated":
            self.cloud.preempt(id_)
            self.life.disturb()

    @rule(price=st.sampled_from([CALM_PRICE, DEAR_PRICE]))
    def market(self, price):
        """Prices rise above every bid, and fall."""
        self.cloud.set_price("8xa100", REGION, price)
        self.life.disturb()

    @rule(pick=st.integers(0, 3), what=st.sampled_from(["terminate", "price", "pause", "resume", "detach"]))
    def meddle_with_a_cluster(self, pick, what):
        """Behind the stack's back."""
        id_ = self._ours("bids", pick)
        if id_ is None:
            return
        self.life.disturb()
        if what == "terminate":
            self.cloud.terminate(id_)
        elif what == "price":
            self.cloud.update_bid(id_, limit_price="$70.00")
        elif what == "detach":
            self.cloud.update_bid(id_, volumes=[])
        else:
            self.cloud.update_bid(id_, paused=what == "pause")

    @rule(pick=st.integers(0, 3), what=st.sampled_from(["delete", "rename"]))
    def meddle_with_a_volume(self, pick, what):
        """Behind the stack's back, also under the machines that use it."""
        id_ = self._ours("volumes", pick)
        if id_ is None:
            return
        self.life.disturb()
        if what == "delete":
            self.cloud.delete_volume(id_, force=True)
        else:
            self.cloud.update_volume(id_, name=f"renamed-{id_.removeprefix('vol_')}")

    @rule(seconds=st.sampled_from([1, 60, 600]))
    def wait(self, seconds):
        """Time goes by."""
        self.cloud.clock.advance(seconds)

    def teardown(self):
        """However a life went: it recovers, and ends with nothing left."""
        if hasattr(self, "life") and sys.exc_info()[0] is None:  # else this would hide what broke
            self.life.recover()
            self.life.destroy()


@pytest.fixture
def live(clean_environment, monkeypatch):
    """Live so many lives of so many steps, all on one server."""
    # Each operation opens the SDK anew, and each time it reads the authorities of the whole world: two thirds of all.
    monkeypatch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
    with FakeMithril(clock=Clock(speed=0)) as cloud:

        def run(lives, steps, seeded=None):
            class Here(Lives):
                pass

            Here.cloud = cloud
            if seeded is not None:
                Here = seed(seeded)(Here)  # noqa: N806 - a class
            run_state_machine_as_test(
                Here,
                settings=settings(
                    max_examples=lives,
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
        session.current().close()


def test_no_life_breaks_a_promise(live):
    """The same lives in every run."""
    live(SHORT, SHORT_STEPS)


@pytest.mark.sweep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seeded", range(FIRST, FIRST + -(-LONG // PORTION)))
def test_no_long_life_breaks_a_promise(live, seeded):
    """Others in every sweep that names another seed."""
    live(min(PORTION, LONG), LONG_STEPS, seeded)
