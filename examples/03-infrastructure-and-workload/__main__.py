import pulumi

from flow_resources import GpuCluster

# The market is about $12 for a machine of 8 A100, $1.50 for one with a single A100. What is paid is the market's price.

# Infrastructure: has to stay. The bid is far over any price that the market has seen, so that it is never outbid.
gateway = GpuCluster(
    "gateway",
    instance_type="1xa100",
    max_price_per_hour=12.0,  # 8 times the market
    region="us-central5-a",
    command="python3 -m http.server 8000",
    ports=[8000],
)

# Workload: may be interrupted. The bid is what the work is worth, and `up` does not wait for a market that costs more.
sweep = GpuCluster(
    "sweep",
    instance_type="8xa100",
    num_instances=2,
    max_price_per_hour=13.0,  # a little over the market
    region="us-central5-a",
    wait_for="placed",
)

pulumi.export("gateway", gateway.ssh_commands)
pulumi.export("status", {"gateway": gateway.status, "sweep": sweep.status})
pulumi.export("max_cost_per_hour", {"gateway": gateway.max_cost_per_hour, "sweep": sweep.max_cost_per_hour})
