import pulumi

from flow_resources import GpuCluster, Volume, VolumeMount

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

trainer = GpuCluster(
    "trainer",
    instance_type="8xa100",
    num_instances=config.require_int("machines"),
    max_price_per_hour=config.require_float("bid"),  # USD per machine and hour
    env={"WANDB_API_KEY": config.require_secret("wandbKey")},
    volumes=[VolumeMount(checkpoints, "/data"), VolumeMount(corpus, "/mnt/corpus")],
)

pulumi.export("ssh", trainer.ssh_commands)
pulumi.export("max_cost_per_hour", trainer.max_cost_per_hour)
pulumi.export("volumes", {"checkpoints": checkpoints.volume_id, "corpus": corpus.volume_id})
