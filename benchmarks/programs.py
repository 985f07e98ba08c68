"""The programs that are measured against each other."""

from __future__ import annotations

OURS = """
from flow_resources import GpuCluster

for number in range({n}):
    GpuCluster(f"c{{number}}", instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a")
"""

# The engine's own cost: as many resources of the same size, whose verbs do nothing.
FLOOR = """
import pulumi
from noop import NoOp

for number in range({n}):
    NoOp(f"c{{number}}")
"""
NOOP = """
import pulumi
from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

PROPS = {f"property_{number:02d}": "a value of some length" for number in range(28)}


class Provider(ResourceProvider):
    serialize_as_secret_always = False

    def check(self, olds, news):
        return CheckResult(news, [])

    def diff(self, id, olds, news):
        return DiffResult(changes=False)

    def create(self, props):
        return CreateResult("id", dict(props))

    def read(self, id, props):
        return ReadResult(id, dict(props))

    def update(self, id, olds, news):
        return UpdateResult(dict(news))


class NoOp(Resource, module="bench", name="NoOp"):
    def __init__(self, name):
        super().__init__(Provider(), name, dict(PROPS))
"""

# What a user would write without this package.
BARE = """
from flow import Flow, TaskConfig
from flow.domain.models.constraints import Constraints

client = Flow()
for number in range({n}):
    client.run(TaskConfig(name=f"c{{number}}", command="sleep infinity", instance_type="8xa100", num_instances=1,
                          max_price_per_hour=20.0, region="us-central5-a", upload_code=False,
                          constraints=Constraints(regions=["us-central5-a"])))
"""

# The seconds of declaring alone: what the engine is sent waits for the event loop, which does not run here.
_DECLARING = """
import sys, time
import pulumi
{imports}


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return args.name, args.inputs

    def call(self, args):
        return {{}}


pulumi.runtime.set_mocks(Mocks())
{name}("the-first"{arguments})
began = time.perf_counter()
for number in range(int(sys.argv[1])):
    {name}(f"c{{number}}"{arguments})
print(time.perf_counter() - began)
"""
DECLARING = _DECLARING.format(
    imports="from flow_resources import GpuCluster",
    name="GpuCluster",
    arguments=', instance_type="8xa100", max_price_per_hour=20.0, region="us-central5-a"',
)
# Pulumi wraps its pickler anew for each resource: beyond 980 of them that is deeper than Python allows by itself.
DECLARING_FLOOR = _DECLARING.format(imports=f"sys.setrecursionlimit(100_000)\n{NOOP}", name="NoOp", arguments="")

# The size of NOOP's resources.
TERRAFORM = """
resource "terraform_data" "c" {
  count = %d
  input = { for number in range(28) : format("property_%%02d", number) => "a value of some length" }
}
"""
