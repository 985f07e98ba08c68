"""What is written into users' states and into the service: once released it never changes meaning."""

from __future__ import annotations

import base64
import hashlib

from flow_resources.cluster import GpuCluster
from flow_resources.core import cluster_inputs, naming, volume_inputs
from flow_resources.engine import token
from flow_resources.providers import base
from flow_resources.providers.cluster import GpuClusterProvider
from flow_resources.providers.volume import VolumeProvider
from flow_resources.volume import Volume


def test_type_tokens_are_frozen() -> None:
    """They stand in every URN."""
    assert GpuCluster._resource_type_name == "dynamic/flow:GpuCluster"
    assert Volume._resource_type_name == "dynamic/flow:Volume"


def test_provider_classes_pickle_as_their_frozen_paths() -> None:
    """A name, no code and no value."""
    for provider, path in (
        (GpuClusterProvider, (b"flow_resources.providers.cluster", b"GpuClusterProvider")),
        (VolumeProvider, (b"flow_resources.providers.volume", b"VolumeProvider")),
    ):
        pickled = base64.b64decode(token(provider))
        assert all(part in pickled for part in path)
        assert len(token(provider)) <= 128
        assert token(provider) == token(provider)
        assert not vars(provider())


def test_property_keys_are_frozen() -> None:
    """Inputs, hidden ones included."""
    assert [one.name for one in cluster_inputs.FIELDS] == [
        "instance_type",
        "num_instances",
        "max_price_per_hour",
        "region",
        "command",
        "image",
        "env",
        "ports",
        "volumes",
        "ssh_keys",
        "paused",
        "wait_for",
        "on_preemption",
        "name_prefix",
        "adopt_task_id",
    ]
    assert [one.name for one in volume_inputs.FIELDS] == [
        "size_gb",
        "interface",
        "region",
        "volume_name",
        "adopt_volume_id",
        "allow_replace",
    ]
    assert (base.MARK, base.SERVICE, base.NAMED, base.UNREADY) == ("__mark", "__service", "__named", "__unready")


def test_the_name_format_is_frozen() -> None:
    """What one version made, the next one must know again."""
    urn = "urn:pulumi:dev::training::pulumi-python:dynamic/flow:GpuCluster::trainer"
    mark = naming.Mark.of("acme/training/dev", urn)
    assert (
        str(mark) == hashlib.sha256(b"acme/training/dev").hexdigest()[:6] + hashlib.sha256(urn.encode()).hexdigest()[:8]
    )
    assert naming.compose("trainer", mark, "9c01d2", 3) == f"trainer-{mark}-9c01d2-3"
