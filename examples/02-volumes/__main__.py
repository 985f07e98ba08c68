import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

data = Volume("training-data", size_gb=1000, region="us-central5-a")
models = Volume("models", size_gb=500, region="us-central5-a")

cluster = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=4,
    max_price_per_hour=50.0,  # the bid: USD per instance-hour
    region="us-central5-a",
    volumes=[VolumeMount(data, "/data"), VolumeMount(models, "/mnt/models")],
)

pulumi.export("cluster_id", cluster.task_id)
pulumi.export("gpu_ips", cluster.public_ips)
pulumi.export("storage", {"data": data.volume_id, "models": models.volume_id})
