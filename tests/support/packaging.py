"""The package as its users get it: built into files, and installed where nothing of this checkout is in reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
"""The Pythons that are supported."""


def build(target: str, into: Path, source: Path = ROOT) -> Path:
    """Build the wheel or the sdist of a checkout, or of an unpacked sdist."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    subprocess.run(command, cwd=source, env=clean(), stdout=subprocess.DEVNULL, check=True)
    (built,) = into.glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return built


def files_of(wheel: Path) -> dict[str, bytes]:
    """Return what a wheel holds."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpack(sdist: Path, into: Path) -> Path:
    """Unpack an sdist; return the one folder that is in it."""
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def clean() -> dict[str, str]:
    """Return the environment without what leads to this checkout, or to a cloud."""
    ours = ("MITHRIL_", "FLOW_", "PYTEST_", "PULUMI_", "PYTHONPATH", "VIRTUAL_ENV", "MAKE", "PIP_REQUIRE_VIRTUALENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def python_of(version: str) -> str | None:
    """Return the path of a Python of this machine: on PATH, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [shutil.which(f"python{version}"), *(str(one) for one in pyenv.glob(f"{version}.*/bin/python"))]
    return next((one for one in found if one and _is(one, version)), None)


def _is(python: str, version: str) -> bool:
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"  # a shim of pyenv can be there and lead nowhere
    done = subprocess.run([python, "-c", ask], env=clean(), capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the package from its wheel, without extras."""

    folder: Path

    @property
    def bin(self) -> Path:
        """Where its commands are."""
        return self.folder / "bin"

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, outside this checkout."""
        return subprocess.run(
            [self.bin / command, *arguments],
            cwd=cwd or self.folder, env=clean(), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip


def install(wheel: Path, python: str, folder: Path) -> Installed:
    """Install as a user does: pip fetches what the wheel says that it needs, in the versions of constraints.txt."""
    subprocess.run([python, "-m", "venv", str(folder)], env=clean(), check=True)
    _pip(folder / "bin" / "python", "-c", str(ROOT / "constraints.txt"), str(wheel))
    return Installed(folder)


def install_linked(wheel: Path, folder: Path) -> Installed:
    """Install in a second: the same, but what the wheel needs, and nothing else, is linked from this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], env=clean(), check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    # Pulumi asks the environment's own pip what is there.
    for needed in (distribution("pip"), *_needed("flow-resources").values()):
        for path in needed.files or ():
            if ".." not in path.parts:
                (packages / path).parent.mkdir(parents=True, exist_ok=True)
                (packages / path).symlink_to(str(needed.locate_file(path)))
    _pip(sys.executable, "--no-deps", "--no-index", str(wheel), into=folder)
    return Installed(folder)


def _pip(python: Path | str, *arguments: str, into: Path | None = None) -> None:
    where = ["--python", str(into / "bin" / "python")] if into else []
    command = [str(python), "-m", "pip", *where, "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=clean(), check=True)


def _needed(name: str) -> dict[str, Distribution]:
    """Return what a distribution needs without extras, directly or not, but not itself."""
    found: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        for requirement in map(Requirement, distribution(waiting.pop()).requires or ()):
            needed = canonicalize_name(requirement.name)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and needed not in found:
                found[needed] = distribution(needed)
                waiting.append(needed)
    return found
