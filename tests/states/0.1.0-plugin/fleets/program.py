"""Two fleets: one with volumes of its members and indices that are left out, one that is only declared."""

import pulumi

from flow_resources import MemberVolume, ResilientCluster

PLACE = {"instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a", "ssh_keys": ["team"]}

workers = ResilientCluster(
    "worker",
    size=2,
    skip=[1],
    min_running=1,
    volume_per_member=MemberVolume(size_gb=10, mount_path="/data"),
    on_preemption="raise_bid",
    raise_up_to_per_hour=25.0,
    **PLACE,
)
ResilientCluster("spare", size=1, paused=True, **PLACE)
pulumi.export("members", workers.members)
