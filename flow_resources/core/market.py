"""What the service offers, and the checks of a resource's inputs against it.

The checks read inputs by name and know no table of fields, so that the tables of all resources can share them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flow_resources.core.answer import Answer
from flow_resources.core.inputs import UNKNOWN, Checked, Unknown

if TYPE_CHECKING:
    from flow_resources.core.models import InstanceType, Offer, StoredVolume

NO_INTERFACE = "is a volume of which the service does not say now whether it is a file or a block volume"


@dataclass(frozen=True)
class Market:
    """The service's catalogue, offers and regions, and the project's volumes by id."""

    types: Sequence[InstanceType]
    offers: Sequence[Offer]
    regions: Sequence[str]
    volumes: Mapping[str, StoredVolume]

    def offer(self, spelling: str, region: str) -> Offer | None:
        """Return the cheapest offer of an instance type in a region."""
        ids = {type_.id for type_ in named(spelling, self.types)}
        offers = [offer for offer in self.offers if offer.instance_type in ids and offer.region == region]
        return min(offers, key=lambda offer: (offer.price is None, offer.price or 0, offer.instance_type), default=None)

    def interface(self, volume_id: str) -> str:
        """Return the interface of a volume: block or file, which is what the service makes by default."""
        volume = self.volumes.get(volume_id)
        return (volume.interface if volume else None) or "file"


def named(spelling: str, types: Sequence[InstanceType]) -> list[InstanceType]:
    """Return the instance types that a spelling can mean. Names are not unique: regions can have ids of their own."""
    if spelling.startswith("it_"):
        return [type_ for type_ in types if type_.id == spelling]
    return [type_ for type_ in types if spelling in (type_.spelling, type_.name.lower())]


def regions_offering(spelling: str, market: Market) -> list[str]:
    """Return the regions where a type is on offer now, sorted."""
    ids = {type_.id for type_ in named(spelling, market.types)}
    return sorted({offer.region for offer in market.offers if offer.instance_type in ids})


def where_on_offer(spelling: str, market: Market) -> str:
    """Return a remedy with the regions where a type is on offer now."""
    regions = regions_offering(spelling, market)
    return f"it is in {', '.join(regions)}" if regions else "it is on offer nowhere now"


def is_same_type(recorded: str, spelling: str, region: str | None, market: Market) -> Answer:
    """Whether what runs under the recorded spelling is one of the types that another spelling names, in a region.

    Not known where the recorded spelling means more types than the other one, or is an id that the catalogue has no
    more.
    """
    before, after = (_meanings(one, region, market) for one in (recorded, spelling))
    if not before:
        return Answer.of(None if after and recorded.startswith("it_") else False)
    if before <= after:
        return Answer.YES
    return Answer.of(None if before & after else False)


def _meanings(spelling: str, region: str | None, market: Market) -> set[str]:
    """Return the ids that a spelling can mean: those on offer in the region, or else all."""
    ids = {type_.id for type_ in named(spelling, market.types)}
    return {offer.instance_type for offer in market.offers if offer.region == region} & ids or ids


def near(spelling: str, known: Sequence[str]) -> str:
    """Return a phrase with the known names that are similar to a spelling, or with all where none is similar."""
    if not known:
        return "the service lists none"
    import difflib  # for a misspelt name alone: a program that declares resources needs none of it

    close = difflib.get_close_matches(spelling, known, n=5, cutoff=0.5)
    return f"there {'is' if len(close or known) == 1 else 'are'} {', '.join(close or sorted(known))}"


# -- the region --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RegionSources:
    """Where the region of a resource comes from, as long as the program names none."""

    settled: str | None = None
    """What an earlier `up` has resolved, also of what this one replaces."""
    default: str | None = None
    """The setting. None also where it is not known what an earlier `up` has resolved: it can be another one."""
    missing: str = "is not set"
    """What a failure says."""


def region_sources(olds: Mapping[str, Any], exists: Answer, recorded: str | None, default: str | None) -> RegionSources:
    """Return the sources; `exists` and `recorded`: whether the state holds the resource, and its region there."""
    settled = olds.get("region") or recorded
    if settled or (exists is Answer.NO and not olds):
        return RegionSources(str(settled) if settled else None, default)
    return RegionSources(missing="is not set, and it could not be found out where an earlier `up` has put it")


def resolve_region(checked: Checked, sources: RegionSources, market: Market | None, *, may_move: bool) -> None:
    """Set the region where the program has none: the one resolved before, the default, or that of the volumes.

    A cluster goes with its volumes where it may move: where all that are known are in another region than it was.
    The region is unknown, and no failure, as long as an unknown volume can determine it.
    """
    if "region" in checked.inputs:
        return
    volumes = checked.inputs.get("volumes") or []
    mounts = volumes if isinstance(volumes, list) else [volumes]
    of_volumes = [region for mount in mounts if (region := region_of_mount(mount, market))]
    settled = sources.settled
    if may_move and of_volumes and settled not in of_volumes:
        settled = None
    region = settled or (None if sources.settled else sources.default) or next(iter(of_volumes), None)
    if not region and mounts and (market is None or any(map(has_unknown_volume, mounts))):
        checked.inputs["region"] = UNKNOWN
    else:
        set_region(checked, region, market.regions if market else (), sources.missing)


def set_region(checked: Checked, region: str | None, regions: Sequence[str], missing: str = "is not set") -> None:
    """Set the region, or add the failure that there is none, with the regions to choose from."""
    if region:
        checked.inputs["region"] = region
        return
    known = f": one of {', '.join(regions)}" if regions else ""
    checked.fail("region", missing, remedy=f"pass region=..., or `pulumi config set flow:region ...`{known}")


def check_regions(checked: Checked, regions: Sequence[str]) -> None:
    """Check that the service has the region. A service that lists no regions refuses none."""
    region = checked.known("region")
    if region and regions and region not in regions:
        checked.fail("region", "is not a region of the service", region, near(region, regions))


def region_of_mount(mount: Any, market: Market | None) -> str | None:
    """Return the region of a mount's volume: the service's, else the hint."""
    if not isinstance(mount, Mapping):
        return None
    hint = mount.get("__region")
    volume = market.volumes.get(str(mount.get("volume_id"))) if market else None
    return (volume.region if volume else None) or (hint if isinstance(hint, str) else None)


def has_unknown_volume(mount: Any) -> bool:
    """Whether the volume of a mount is one that does not exist yet."""
    return isinstance(mount.get("volume_id") if isinstance(mount, Mapping) else mount, Unknown)


# -- the instance type and the volumes ---------------------------------------------------------------------------------


def check_market(checked: Checked, market: Market, *, runs: bool = False, called: str = "cluster") -> None:
    """Check the placement of a bid against the catalogue, the offers and the project's volumes.

    `runs`: the bid exists already, and what is on offer today does not matter to it. `called`: how messages call it.
    """
    if not runs:
        check_regions(checked, market.regions)
        _check_instance_type(checked, market)
    mounts = checked.inputs.get("volumes")
    failed = {failure.path for failure in checked.failures}
    for index, mount in enumerate(mounts if isinstance(mounts, list) else []):
        path = f"volumes[{index}].volume_id"
        if isinstance(mount, Mapping) and path not in failed:
            _check_mount(checked, path, mount, market, called)


def _check_instance_type(checked: Checked, market: Market) -> None:
    spelling, region = checked.known("instance_type"), checked.known("region")
    if not spelling:
        return
    ids = {type_.id for type_ in named(spelling, market.types)}
    if not ids:
        # Only a type that some region offers is worth proposing.
        offered = {offer.instance_type for offer in market.offers}
        known = sorted({type_.spelling for type_ in market.types if type_.id in offered or not offered})
        checked.fail("instance_type", "is not in the service's catalogue", spelling, near(spelling, known))
    elif region and market.offers and not market.offer(spelling, region):
        checked.fail("instance_type", f"is not on offer in {region}", spelling, where_on_offer(spelling, market))


def _check_mount(checked: Checked, path: str, mount: Mapping[str, Any], market: Market, called: str) -> None:
    id_, region = mount.get("volume_id"), checked.known("region")
    volume = None if isinstance(id_, Unknown) else market.volumes.get(str(id_))
    if volume is None and not isinstance(id_, Unknown):
        checked.fail(path, "is not a volume of the project", id_, "`flow volume list` shows them")
        return
    volume_region = volume.region if volume else mount.get("__region")
    interface = volume.interface if volume else mount.get("__interface")
    if region and isinstance(volume_region, str) and volume_region != region:
        checked.fail(
            path, f"is a volume in {volume_region}, the {called} is in {region}", remedy="both must be in one region"
        )
    if volume and volume.interface is None:
        checked.fail(path, NO_INTERFACE, id_, "run the same command again")
    count = checked.known("num_instances") or 1
    if interface == "block" and count > 1:
        checked.fail(
            path,
            f"is a block volume, which attaches to one machine; the {called} has {count}",
            remedy="make it with interface='file', which attaches to many",
        )


def drop_hints(inputs: dict[str, Any]) -> None:
    """Remove the hints from the mounts: they tell a check about volumes that do not exist yet, and enter no state."""
    mounts = inputs.get("volumes")
    for mount in mounts if isinstance(mounts, list) else []:
        if isinstance(mount, dict):
            for hint in ("__region", "__interface", "__volume"):
                mount.pop(hint, None)
