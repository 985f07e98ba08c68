import pulumi

from flow_resources import Bid, GpuCluster

REGION = "us-central5-a"

# Infrastructure: has to stay. Not under the on-demand price of the type, nor under the market; never above $60.
gateway = GpuCluster(
    "gateway",
    instance_type="8xa100",
    max_price_per_hour=Bid.infrastructure(cap=60),
    region=REGION,
    command="python3 -m http.server 8000",
    ports=[8000],
)

# Workloads: may be interrupted. One runs now, at a tenth above the market; the other one would have run for 97 % of the
# last week. Neither is ever above its cap, and `up` does not wait for them.
sweep = GpuCluster(
    "sweep",
    instance_type="8xa100",
    num_instances=2,
    max_price_per_hour=Bid.workload(margin=0.1, cap=20),
    region=REGION,
    wait_for="placed",
)
night = GpuCluster(
    "night",
    instance_type="1xa100",
    max_price_per_hour=Bid.uptime(0.97, days=7, cap=5),
    region=REGION,
    wait_for="placed",
)

pulumi.export(
    "bids",
    {"gateway": gateway.max_price_per_hour, "sweep": sweep.max_price_per_hour, "night": night.max_price_per_hour},
)
