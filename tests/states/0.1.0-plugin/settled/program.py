"""Everything that a state can hold of a stack that went well."""

import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

PLACE = {"instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a"}


class Team(pulumi.ComponentResource):
    """A component with a cluster of its own."""

    def __init__(self, name: str) -> None:
        super().__init__("acme:index:Team", name)
        GpuCluster("child", **PLACE, opts=pulumi.ResourceOptions(parent=self))


GpuCluster("plain", **PLACE)
GpuCluster("paused", **PLACE, paused=True)
GpuCluster("quiet", **PLACE, command=pulumi.Output.secret("echo no-live-secret"))
GpuCluster("adopted", **PLACE, num_instances=2, adopt_task_id="bid_000001")
GpuCluster.get("theirs", "bid_000002")
data = Volume("data", size_gb=100, region="us-central5-a")
fixed = Volume("fixed", size_gb=50, region="us-central5-a", volume_name="corpus")
Volume("kept", size_gb=10, region="us-central5-a", adopt_volume_id="vol_000001")
Volume.get("shared", "vol_000002")
full = GpuCluster(
    "full",
    **PLACE,
    num_instances=2,
    name_prefix="big",
    command=["python", "-m", "train"],
    image="nvidia/cuda:12.4.1-base-ubuntu22.04",
    env={"TOKEN": "no-live-secret", "RANK": "0"},
    ports=[8080, 6006],
    ssh_keys=["team"],
    volumes=[VolumeMount(data, "/data"), VolumeMount(fixed, "/mnt/corpus")],
    wait_for="allocated",
)
Team("team")
pulumi.export("ips", full.public_ips)
