import pulumi

from flow_resources import Job, Volume, VolumeMount

data = Volume("training-data", size_gb=100, region="us-central5-a")
training = Job(
    "training",
    script="train.py",
    args=["/data/circle.json"],
    instance_type="1xa100",
    max_price_per_hour=1.60,  # a low bid: the job may be preempted, and goes on when the price has fallen
    region="us-central5-a",
    volumes=[VolumeMount(data, "/data")],  # what must survive a preemption for certain is on a volume
    preemption_signal="SIGUSR1",  # train.py saves on it
    max_run_time_hours=12,  # since its first start, the time in the auction included
)
pulumi.export("task_id", training.task_id)
pulumi.export("status", training.status)
