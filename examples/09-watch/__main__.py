import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

config = pulumi.Config()
data = Volume("watched-data", size_gb=100, region="us-central5-a")

trainer = GpuCluster(
    "watched-trainer",
    instance_type="8xa100",
    max_price_per_hour=16.0,
    region="us-central5-a",
    command="python3 /data/train.py",  # runs again after each preemption, and goes on from what it saved
    volumes=[VolumeMount(data, "/data")],
    ssh_keys=config.get_object("sshKeys"),  # set it: the key that a pod makes is lost with the pod
    on_preemption="raise_bid",
    raise_up_to_per_hour=24.0,
    wait_for="placed",  # who runs `up` while nobody watches must not wait for a dry market
)
pulumi.export("status", trainer.status)
pulumi.export("task_id", trainer.task_id)
