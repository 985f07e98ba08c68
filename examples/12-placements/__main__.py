import pulumi

from flow_resources import GpuCluster, Placement


def create_trainer(name: str) -> GpuCluster:
    """Declare machines of which the program lists all that would do, the best first."""
    return GpuCluster(
        name,
        placements=[
            Placement("8xh100", "us-central5-a", max_price_per_hour=40),
            Placement("8xa100", "us-central1-b"),
            Placement("8xa100", "us-east1-a"),
        ],
        max_price_per_hour=24,  # the bid of the placements without one of their own
        max_wait_minutes=30,  # `pulumi up --refresh` moves on to the next one after so long in the auction
        wait_for="placed",
    )


trainer = create_trainer("trainer")
pulumi.export("machines", trainer.instance_type)
pulumi.export("region", trainer.region)
