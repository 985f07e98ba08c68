"""The package as users get it: built, and installed where this checkout is not importable."""

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
"""The supported versions of Python."""


def build(target: str, into: Path, source: Path = ROOT) -> Path:
    """Build the wheel or the sdist of a checkout, or of an unpacked sdist."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    subprocess.run(command, cwd=source, env=clean_environ(), stdout=subprocess.DEVNULL, check=True)
    (built,) = into.glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return built


def files_of(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel: name to content."""
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpack(sdist: Path, into: Path) -> Path:
    """Unpack an sdist; return its folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    (folder,) = into.iterdir()
    return folder


def clean_environ() -> dict[str, str]:
    """Return the environment without the variables that point at this checkout or at a cloud."""
    ours = ("MITHRIL_", "FLOW_", "PYTEST_", "PULUMI_", "PYTHONPATH", "VIRTUAL_ENV", "MAKE", "PIP_REQUIRE_VIRTUALENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def python_of(version: str) -> str | None:
    """Return the path of a Python of this version, on PATH or of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    paths = [shutil.which(f"python{version}"), *(str(path) for path in pyenv.glob(f"{version}.*/bin/python"))]
    return next((path for path in paths if path and _has_version(path, version)), None)


def _has_version(python: str, version: str) -> bool:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"  # a shim of pyenv can exist and fail
    result = subprocess.run([python, "-c", script], env=clean_environ(), capture_output=True, text=True, check=False)
    return result.stdout.strip() == version


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the package from its wheel, without extras."""

    folder: Path

    @property
    def bin(self) -> Path:
        """The folder of its commands."""
        return self.folder / "bin"

    def run(self, command: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, outside this checkout."""
        return subprocess.run(
            [self.bin / command, *arguments],
            cwd=cwd or self.folder, env=clean_environ(), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip


def install(wheel: Path, python: str, folder: Path) -> Installed:
    """Install as a user does: pip fetches the requirements of the wheel, in the versions of constraints.txt."""
    subprocess.run([python, "-m", "venv", str(folder)], env=clean_environ(), check=True)
    _pip(folder / "bin" / "python", "-c", str(ROOT / "constraints.txt"), str(wheel))
    return Installed(folder)


def install_linked(wheel: Path, folder: Path) -> Installed:
    """Install the wheel in a second: its requirements, and nothing else, are linked from this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], env=clean_environ(), check=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    # Pulumi lists the packages with the pip of the environment.
    for needed in (distribution("pip"), *_requirements("flow-resources").values()):
        for path in needed.files or ():
            if ".." not in path.parts:
                (packages / path).parent.mkdir(parents=True, exist_ok=True)
                (packages / path).symlink_to(str(needed.locate_file(path)))
    _pip(sys.executable, "--no-deps", "--no-index", str(wheel), into=folder)
    return Installed(folder)


def _pip(python: Path | str, *arguments: str, into: Path | None = None) -> None:
    where = ["--python", str(into / "bin" / "python")] if into else []
    command = [str(python), "-m", "pip", *where, "install", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, env=clean_environ(), check=True)


def _requirements(name: str) -> dict[str, Distribution]:
    """Return the direct and indirect requirements of a distribution, without extras and without itself."""
    requirements: dict[str, Distribution] = {}
    waiting = [name]
    while waiting:
        for requirement in map(Requirement, distribution(waiting.pop()).requires or ()):
            needed = canonicalize_name(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and needed not in requirements:
                requirements[needed] = distribution(needed)
                waiting.append(needed)
    return requirements
