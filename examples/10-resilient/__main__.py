import pulumi

from flow_resources import MemberVolume, ResilientCluster


def create_resilient_cluster(name: str, size: int, min_running: int) -> ResilientCluster:
    """Declare machines of which each may be lost, and comes back by itself, without touching the others."""
    return ResilientCluster(
        name,
        size=size,
        min_running=min_running,  # `pulumi up` is content when so many run; the others may wait in the auction
        instance_type="8xa100",
        max_price_per_hour=16.0,  # the bid of each machine
        region="us-central5-a",
        on_preemption="raise_bid",  # `pulumi up --refresh` raises the bid of one that was preempted ...
        raise_up_to_per_hour=20.0,  # ... and never above this
        volume_per_member=MemberVolume(size_gb=100, mount_path="/data"),  # outlives the machine
        opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create="1h", update="1h")),
    )


workers = create_resilient_cluster("worker", size=5, min_running=3)
pulumi.export("running", workers.running)
pulumi.export("public_ips", workers.public_ips)
