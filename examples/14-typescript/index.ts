import { GpuCluster, Volume } from "./flow";

const data = new Volume("data", { size_gb: 500, region: "us-central5-a" });

const trainer = new GpuCluster("trainer", {
  instance_type: "8xa100",
  num_instances: 2,
  max_price_per_hour: 20, // the bid: USD per machine and hour
  region: "us-central5-a",
  volumes: [{ volume_id: data.volume_id, mount_path: "/mnt/data" }],
});

export const ssh = trainer.ssh_commands;
