import pulumi

from flow_resources import GpuCluster, VolumeMount

stack = pulumi.Config().get("infraStack") or f"{pulumi.get_organization()}/infra/{pulumi.get_stack()}"
infra = pulumi.StackReference(stack)

trainer = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=2,
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region=infra.get_output("region"),
    volumes=[VolumeMount(infra.get_output("volume_id"), "/data")],
)

pulumi.export("cluster_id", trainer.task_id)
pulumi.export("volume_ids", trainer.volume_ids)
