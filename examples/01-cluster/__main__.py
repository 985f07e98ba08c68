import pulumi

from flow_resources import GpuCluster

trainer = GpuCluster(
    "trainer",
    instance_type="8xa100",
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region="us-central5-a",
)
pulumi.export("ssh", trainer.ssh_commands)
