"""What an `up` that could not finish leaves: a bid that waits, and a replacement whose old bid still lives."""

import pulumi

from flow_resources import GpuCluster

PLACE = {"instance_type": "8xa100", "region": "us-central5-a"}

GpuCluster(
    "waiting",
    **PLACE,
    max_price_per_hour=5.0,  # under the market
    env={"TOKEN": "no-live-secret"},
    opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1s", update="1s")),
)
GpuCluster(
    "moved",
    **PLACE,
    max_price_per_hour=20.0,
    command="sleep 2",
    opts=pulumi.ResourceOptions(delete_before_replace=False),
)
