import pulumi

from flow_resources import GpuCluster, VolumeMount, VolumeReference, export_cluster

stack = pulumi.Config().get("infraStack") or f"{pulumi.get_organization()}/infra/{pulumi.get_stack()}"
data = VolumeReference(stack, "data")

trainer = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=2,
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region=data.region,
    volumes=[VolumeMount(data, "/data")],
)

export_cluster("trainer", trainer)
pulumi.export("volume_ids", trainer.volume_ids)
