"""What the program declares: no engine, no network, no cloud. Runs in a second."""

import runpy

import pulumi

from flow_resources.testing import FlowMocks

mocks = FlowMocks()
pulumi.runtime.set_mocks(mocks, project="flow-testing", stack="dev")
program = runpy.run_path("__main__.py")


@pulumi.runtime.test
def test_it_can_cost_no_more_than_fifty_dollars_an_hour():
    def check(cost):
        assert cost <= 50

    return program["trainer"].max_cost_per_hour.apply(check)


@pulumi.runtime.test
def test_the_data_is_mounted():
    def check(ids):
        volume, mounted = ids
        assert mounted == [volume]

    return pulumi.Output.all(program["data"].volume_id, program["trainer"].volume_ids).apply(check)


def test_nothing_else_is_rented():
    clusters = [inputs for kind, _, inputs in mocks.resources if kind.endswith("GpuCluster")]
    assert [one["instance_type"] for one in clusters] == ["8xa100"]
