"""Instance types, regions and base prices.

Ids and names are those that clients of the API have built in.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

_WHOLE_MACHINE_GPUS = 8
"""The number of GPUs of an unshared machine; only those have InfiniBand."""
REGIONS = (
    "us-central1-a",
    "us-central1-b",
    "us-central2-a",
    "us-central5-a",
    "us-east1-a",
    "eu-central1-a",
    "eu-central1-b",
    "me-central1-a",
)
CAPACITY = 64
"""The default number of machines of one type in one region."""


@dataclass(frozen=True)
class InstanceType:
    """One instance type; `spot_cents` is the base price per hour."""

    fid: str
    name: str
    gpus: int
    gpu: str
    memory_gb: int
    socket: str
    cpus: int
    cpu: str
    ram_gb: int
    disk_gb: int
    spot_cents: int
    regions: tuple[str, ...] = REGIONS

    @property
    def short(self) -> str:
        """Return the short name, such as 8xa100."""
        return f"{self.gpus}x{self.gpu.lower()}"

    def wire(self) -> dict[str, Any]:
        """Return an InstanceTypeModel."""
        has_infiniband = self.gpus == _WHOLE_MACHINE_GPUS
        return {
            "fid": self.fid,
            "name": self.name,
            "num_cpus": self.cpus,
            "cpu_type": self.cpu,
            "ram_gb": self.ram_gb,
            "num_gpus": self.gpus,
            "gpu_type": self.gpu,
            "gpu_memory_gb": self.memory_gb,
            "gpu_socket": self.socket,
            "local_storage_gb": self.disk_gb,
            "network_type": "InfiniBand" if has_infiniband else None,
            "ib_count": 8 if has_infiniband else 0,
            "bridge_count": 4 if has_infiniband else 0,
            "hourly_price": 0.0,
        }


# 8xh100 has two ids, for different regions: names of types are not unique in the service.
TYPES = (
    InstanceType("it_RrgkIZz6c9BZu5gi", "a100-80gb.sxm.1x", 1, "A100", 80, "SXM4", 30, "AMD", 225, 875, 150),
    InstanceType("it_TiAPxzKNi4xO0IAr", "a100-80gb.sxm.2x", 2, "A100", 80, "SXM4", 60, "AMD", 450, 1750, 300),
    InstanceType("it_4TugeYWOov5FllEf", "a100-80gb.sxm.4x", 4, "A100", 80, "SXM4", 120, "AMD", 900, 3500, 600),
    InstanceType("it_Sg1nDx1I8NFep60J", "a100-80gb.sxm.8x", 8, "A100", 80, "SXM4", 252, "AMD", 1800, 7000, 1200),
    InstanceType(
        "it_5ECSoHQjLBzrp5YM", "h100-80gb.sxm.8x", 8, "H100", 80, "SXM5", 192, "Intel", 1800, 7800, 2000, REGIONS[:5]
    ),
    InstanceType(
        "it_XqgKWbhZ5gznAYsG", "h100-80gb.sxm.8x", 8, "H100", 80, "SXM5", 192, "Intel", 1800, 7800, 2000, REGIONS[5:]
    ),
    InstanceType("it_7RHoQUztab9lU9Ne", "h200.8x", 8, "H200", 141, "SXM5", 192, "Intel", 2000, 7800, 2600),
    InstanceType("it_tcjiKnwIK0jX21t3", "b200-192gb.1x", 1, "B200", 192, "SXM6", 28, "Intel", 256, 1000, 500),
    InstanceType("it_nFEHySv5IMnHKbKi", "b200-192gb.8x", 8, "B200", 192, "SXM6", 224, "Intel", 2048, 8000, 4000),
)
BY_FID = {instance_type.fid: instance_type for instance_type in TYPES}
_SHORT = re.compile(r"(?P<n>\d+)x(?P<gpu>[a-z]\w*?)|(?P<gpu2>[a-z]\w*?)[:x](?P<n2>\d+)", re.IGNORECASE)


def find_types(id_or_name: str) -> tuple[InstanceType, ...]:
    """Return all types with this id, full name or short name (8xa100, a100:8, a100x8).

    Raises ValueError, listing the short names, if there is none.
    """
    name = id_or_name.strip()
    short = _SHORT.fullmatch(name)
    if short:
        name = f"{short['n'] or short['n2']}x{(short['gpu'] or short['gpu2']).lower()}"
    types = tuple(item for item in TYPES if name in (item.fid, item.name, item.short))
    if not types:
        names = sorted({instance_type.short for instance_type in TYPES})
        msg = f"no instance type {id_or_name!r}; there are {', '.join(names)}"
        raise ValueError(msg)
    return types


def check_region(region: str) -> str:
    """Return `region`. Raises ValueError, listing the regions, if it does not exist."""
    if region not in REGIONS:
        msg = f"no region {region!r}; there are {', '.join(REGIONS)}"
        raise ValueError(msg)
    return region


def region_rows() -> list[dict[str, Any]]:
    """Return the regions as RegionDTO."""
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
            "name": name,
            "block_storage_enabled": True,
            "fileshare_storage_enabled": True,
            "k8s_enabled": False,
            "max_volume_size_tb": 32,
            "max_volume_name_length": 64,
        }
        for name in REGIONS
    ]
