import pulumi

from flow_resources import Bid, GpuCluster, Job, Volume, VolumeMount

config = pulumi.Config()
keep_data = config.require_bool("keepData")

# Cannot be created again: `pulumi destroy` refuses to delete it, and so does an `up` that would delete or replace it.
checkpoints = Volume("checkpoints", size_gb=500, opts=pulumi.ResourceOptions(protect=keep_data))

# Other programs read it, too: `pulumi destroy` removes it from the state and retains it. It has a fixed name, so that
# `flow-resources sweep` does not treat it as an orphan.
corpus = Volume(
    "corpus",
    size_gb=config.require_int("corpusGb"),
    volume_name=f"corpus-{pulumi.get_stack()}",
    opts=pulumi.ResourceOptions(retain_on_delete=keep_data),
)

# Infrastructure: has to stay. The bid is high, so that it is rarely preempted; the command comes back with the machine.
server = GpuCluster(
    "server",
    instance_type="8xa100",
    num_instances=config.require_int("machines"),
    max_price_per_hour=config.require_float("bid"),  # USD per machine and hour
    command="python3 /mnt/corpus/serve.py --model /data/model",
    restart="always",
    volumes=[VolumeMount(checkpoints, "/data"), VolumeMount(corpus, "/mnt/corpus")],
)

# A training: may be interrupted, and ends by itself. The bid is a little over the market, found by
# the first `up` and kept, and never above its cap, so that the budget can count on it; `up` does not wait for it.
training = Job(
    "training",
    instance_type="8xa100",
    max_price_per_hour=Bid.workload(margin=0.1, cap=13),
    command="python3 /mnt/corpus/train.py --checkpoint /data/model",
    env={"WANDB_API_KEY": config.require_secret("wandbKey")},
    volumes=[VolumeMount(checkpoints, "/data"), VolumeMount(corpus, "/mnt/corpus")],
    preemption_signal="SIGUSR1",
    max_run_time_hours=72,
    opts=pulumi.ResourceOptions(depends_on=[server]),  # what has to stay comes first
)

pulumi.export("ssh", server.ssh_commands)
pulumi.export("max_cost_per_hour", {"server": server.max_cost_per_hour, "training": training.max_cost_per_hour})
pulumi.export("volumes", {"checkpoints": checkpoints.volume_id, "corpus": corpus.volume_id})
