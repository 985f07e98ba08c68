import pulumi

from flow_resources import Volume

data = Volume("training-data", size_gb=1000, region="us-central5-a")

pulumi.export("volume_id", data.volume_id)
pulumi.export("region", data.region)
