"""The front door: what users may say, and what it costs to come in."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

import flow_resources

NAMES = [
    "Bid", "ClusterReference", "CostsResult", "FleetMember", "FlowResourcesError", "GpuCluster", "Instance",
    "InstanceTypeInfo", "Job", "MarketResult", "MemberVolume", "MemberVolumeDict", "Placement", "PlacementDict",
    "Provider", "ResilientCluster", "SshKey", "Volume", "VolumeMount", "VolumeMountDict", "VolumeReference",
    "export_cluster", "export_volume", "get_costs", "get_costs_output", "get_instance_types",
    "get_instance_types_output", "get_market", "get_market_output", "get_regions", "get_regions_output",
]  # fmt: skip
HEAVY = """
import sys
import flow_resources
heavy = {"flow", "httpx", "pydantic"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
assert "pulumi" not in sys.modules
assert flow_resources.FlowResourcesError.__name__ == "FlowResourcesError"
assert "FlowResourcesError" in vars(flow_resources)
assert "pulumi" not in sys.modules
"""
DECLARING = """
import sys
import pulumi
from flow_resources import GpuCluster, Volume, VolumeMount
from flow_resources.testing import FlowMocks
pulumi.runtime.set_mocks(FlowMocks(), preview=False)

@pulumi.runtime.test
def program():
    data = Volume("data", size_gb=1)
    return GpuCluster("one", instance_type="8xa100", max_price_per_hour=1, volumes=[VolumeMount(data, "/data")]).id

program()
heavy = {"flow", "httpx", "pydantic", "tenacity", "aiohttp"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
RESOURCES = """
import sys
import pulumi
before = set(sys.modules)
from flow_resources import Bid, GpuCluster, Job, Placement, ResilientCluster, SshKey, Volume, VolumeMount
from flow_resources import ClusterReference, VolumeReference, export_cluster, export_volume
from flow_resources.program import token
from flow_resources.providers.cluster import GpuClusterProvider
token(GpuClusterProvider)  # what a constructor needs of the provider
print(*sorted(set(sys.modules) - before))
"""
NOT_OF_A_PROGRAM = (
    "lifecycle",
    "cloud",
    "engine",
    "backend",
    "providers.base",
    "core.models",
    "core.prices",
    "core.spec",
)
OURS_AT_MOST = 44  # modules of this package
STANDARD_AT_MOST = {"_decimal", "decimal", "hmac"}
"""The modules of the standard library that Pulumi has not loaded already."""


def test_all_is_sorted_and_is_what_the_namespace_gives() -> None:
    """Every promised name is there, and `dir` and a star import name the same ones."""
    assert flow_resources.__all__ == sorted(flow_resources.__all__) == NAMES
    assert set(flow_resources._HOMES) == set(NAMES)
    assert [name for name in dir(flow_resources) if not name.startswith("_")] == NAMES
    space: dict[str, object] = {}
    exec("from flow_resources import *", space)  # what a user may write, however little it is advised
    assert sorted(set(space) - {"__builtins__"}) == NAMES
    assert all(space[name] is getattr(flow_resources, name) for name in NAMES)


def test_a_name_is_the_thing_of_its_home() -> None:
    """And it says so, so that tracebacks and pickles find it."""
    for name in NAMES:
        assert getattr(flow_resources, name).__name__ == name
        assert getattr(flow_resources, name).__module__ == f"flow_resources.{flow_resources._HOMES[name]}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module: `hasattr` and `from ... import` work as people expect."""
    assert not hasattr(flow_resources, "GpuClutser")
    with pytest.raises(AttributeError, match="'flow_resources' has no attribute 'GpuClutser'"):
        _ = flow_resources.GpuClutser  # type: ignore[attr-defined]


def test_the_version_is_answered_when_it_is_asked_for() -> None:
    """It is the distribution's, read lazily."""
    assert "__version__" in dir(flow_resources)
    try:
        assert flow_resources.__version__.count(".") >= 1
    except PackageNotFoundError:
        pytest.skip("the package runs from its source, not installed")


@pytest.mark.parametrize("program", [HEAVY, DECLARING], ids=["imported", "declaring"])
def test_coming_in_costs_nothing(program: str) -> None:
    """A fresh interpreter that imports the package has loaded neither the SDK nor its HTTP and model libraries.

    Nor has a program that declares resources: only the plugin talks to the service.
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_program_loads_nothing_that_only_the_plugin_needs() -> None:
    """Neither the verbs nor the client, and not the rows of the service; few modules in all."""
    done = subprocess.run([sys.executable, "-c", RESOURCES], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    ours = [name for name in loaded if name.startswith("flow_resources")]
    for room in NOT_OF_A_PROGRAM:
        assert not [name for name in ours if f"{name}.".startswith(f"flow_resources.{room}.")], room
    assert len(ours) <= OURS_AT_MOST, ours
    assert set(loaded) - set(ours) <= STANDARD_AT_MOST
