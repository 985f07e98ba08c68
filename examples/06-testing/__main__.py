import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

config = pulumi.Config()

data = Volume("training-data", size_gb=500, region="us-central5-a")
trainer = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=config.get_int("machines") or 2,
    max_price_per_hour=20.0,  # the bid: USD per machine and hour
    region="us-central5-a",
    volumes=[VolumeMount(data, "/data")],
)

pulumi.export("ssh", trainer.ssh_commands)
