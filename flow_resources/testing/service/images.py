"""The machine images that the API lists. A launch may name any image; it has no effect."""

from __future__ import annotations

from typing import Any

from flow_resources.testing.service.catalog import REGIONS

_GPU_IMAGES = (
    ("imgver_000001", "ubuntu-22.04-cuda-12.4", "Ubuntu 22.04", "5.15.0", False, "550.90.07", "12.4"),
    ("imgver_000002", "ubuntu-22.04-cuda-12.8", "Ubuntu 22.04", "5.15.0", True, "570.86.15", "12.8"),
)
_CPU_IMAGES = (("imgver_000101", "ubuntu-22.04-k8s-1.34", "Ubuntu 22.04", "5.15.0", True, None, None),)


def gpu_images() -> list[dict[str, Any]]:
    """Return the images of bids and reservations; the stable one is the default."""
    return [_image_row(*image) for image in _GPU_IMAGES]


def cpu_images() -> list[dict[str, Any]]:
    """Return the images of Kubernetes control planes, available in every region."""
    return [_image_row(*image) for image in _CPU_IMAGES]


def _image_row(
    fid: str, name: str, system: str, kernel: str, stable: bool, driver: str | None, cuda: str | None
) -> dict[str, Any]:
    """Return an ImageVersionModel."""
    return {
        "image_version_fid": fid,
        "image_version_name": name,
        "os": system,
        "kernel": kernel,
        "stable": stable,
        "supported_regions": list(REGIONS),
        "deactivated_at": None,
        "nvidia_driver": driver,
        "cuda": cuda,
        "cuda_toolkit": cuda,
        "nvidia_container_toolkit": None if driver is None else "1.17.4",
        "packages": None,
    }
