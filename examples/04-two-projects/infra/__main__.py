from flow_resources import Volume, export_volume

data = Volume("training-data", size_gb=1000, region="us-central5-a")

export_volume("data", data)
