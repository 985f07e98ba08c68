"""A program as users write it."""

import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

data = Volume("training-data", size_gb=1000, region="us-central5-a")
cluster = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=4,
    max_price_per_hour=50.0,
    env={"WANDB_API_KEY": "not-in-the-clear"},
    volumes=[VolumeMount(data, "/data"), {"volume_id": "vol_shared", "mount_path": "/mnt/shared"}],
)
pulumi.export("gpu_ips", cluster.public_ips)
