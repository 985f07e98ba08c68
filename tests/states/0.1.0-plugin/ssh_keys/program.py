"""Everything that a state can hold of SSH keys: made here, made under a chosen name, used as it is, only read."""

from flow_resources import GpuCluster, SshKey

PLACE = {"instance_type": "8xa100", "max_price_per_hour": 20.0, "region": "us-central5-a"}
CONTENT = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"
TEAM = f"{CONTENT}Df0kfZ8ukZ8cUNm8l2mO0D8l0m1B2S3X4Y5Z6a7b8c9"

SshKey("made", public_key=f"{CONTENT}{'A' * 43} me@laptop")
SshKey("named", public_key=f"{CONTENT}{'B' * 43}", key_name="on-call")
used = SshKey("used", public_key=f"{TEAM} another comment", key_name="mine")
SshKey.get("read", used.ssh_key_id)
GpuCluster("plain", **PLACE, ssh_keys=["team"])  # not by an id, which other clouds do not have, and names depend on it
