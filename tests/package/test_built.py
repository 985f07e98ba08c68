"""What is uploaded: the wheel and the sdist."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.packaging import ROOT, VERSIONS, build, files_of, unpack


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def test_the_sdist_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds it himself gets what was uploaded, byte by byte; and the sdist says what it is."""
    unpacked = unpack(build("sdist", tmp_path / "sdist"), tmp_path / "unpacked")
    assert files_of(build("wheel", tmp_path / "again", unpacked)) == files_of(wheel)
    assert {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml"} <= {one.name for one in unpacked.iterdir()}


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of the package, its types and its page included; no test, no cache, no folder of another name."""
    names = set(files_of(wheel))
    inside = {name for name in names if name.startswith("flow_resources/")}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "flow_resources").rglob("*") if path.is_file()}
    assert inside == {name for name in there if "__pycache__" not in name}
    assert "flow_resources/py.typed" in inside
    assert {name.partition("/")[0] for name in names - inside} == {
        f"flow_resources-{wheel.name.split('-')[1]}.dist-info"
    }


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    """The Flow SDK under its right name, no web server without the extra, and the Pythons that are tested."""
    (told,) = [content for name, content in files_of(wheel).items() if name.endswith(".dist-info/METADATA")]
    metadata = message_from_bytes(told)
    needs = [Requirement(one) for one in metadata.get_all("Requires-Dist", [])]
    plain = {one.name for one in needs if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert plain == {"pulumi", "flow-compute", "tenacity"}
    assert [one.name for one in needs if one.marker and "testing" in str(one.marker)] == ["aiohttp"]
    said = [one.rpartition(" ")[2] for one in metadata.get_all("Classifier", []) if "Python :: 3." in one]
    assert tuple(said) == VERSIONS
    assert metadata["Requires-Python"] == f">={VERSIONS[0]}"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert str(metadata.get_payload()).startswith("# flow_resources")
