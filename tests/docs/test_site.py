"""The documentation site builds without a warning, needs no other host, and a dead link fails it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.pages import ROOT

import flow_resources
from flow_resources import errors, testing

LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?([^\"' >]+)|<link\b[^>]*\bhref=[\"']?([^\"' >]+)")


def build(checkout: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make docs` does."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_makefile_builds_it_strictly() -> None:
    """With the switch that makes warnings errors, and everything that can be checked a warning."""
    assert "mkdocs build --strict" in (ROOT / "Makefile").read_text()
    checks = (ROOT / "mkdocs.yml").read_text().partition("validation:\n")[2].partition("\n\n")[0]
    assert len(checks.splitlines()) == 5
    assert all(line.endswith(": warn") for line in checks.splitlines())


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """No font, script, picture or style of another host, in pages and in styles of ours."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 25
    for page in pages:
        loaded = [one or other for one, other in LOADED.findall(page.read_text())]
        assert loaded
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?https?:", style.read_text()), style


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    """The package's, the errors, and those of flow_resources.testing."""
    pages = "\n".join(page.read_text() for page in (site / "reference").glob("*.html"))
    documented = {name.rpartition(".")[2] for name in re.findall(r'id="(flow_resources\.[\w.]+)"', pages)}
    wanted = {*flow_resources.__all__, *testing.__all__} - {"MANUAL"}
    wanted |= {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, Exception)}
    assert wanted <= documented
    assert "<code>MANUAL</code>" in pages


def test_every_input_and_output_of_a_cluster_is_in_the_reference(site: Path) -> None:
    """With what it means."""
    page = (site / "reference" / "gpu-cluster.html").read_text()
    for name in ("instance_type", "max_price_per_hour", "adopt_task_id"):
        assert re.search(rf"<code>{name}</code>|>{name}</", page), name
    for name in ("task_id", "ssh_commands", "preemptions", "get"):
        assert f'id="flow_resources.cluster.GpuCluster.{name}"' in page


def test_the_examples_are_pages_with_their_programs(site: Path) -> None:
    """Each folder under examples/ that has a page of its own, in the menu, with all of its programs."""
    examples = sorted(page.parent for page in (ROOT / "examples").glob("*/README.md"))
    assert len(examples) >= 3
    beside = (site / "examples" / f"{examples[0].name}.html").read_text()
    for example in examples:
        page = (site / "examples" / f"{example.name}.html").read_text()
        for ending in ("py", "ts", "go"):
            titles = re.findall(rf'<span class="filename">([^<]*\.{ending})</span>', page)
            programs = [one for one in example.rglob(f"*.{ending}") if "node_modules" not in one.parts]
            assert len(titles) == len(programs), example
        assert example is examples[0] or f'href="{example.name}.html"' in beside


BROKEN = {
    "a page that is not there": ("[x](nowhere.md)", "nowhere.md"),
    "a heading that is not there": ("[x](sweep.md#nowhere)", "does not contain an anchor '#nowhere'"),
    "a file that is no page": (
        "[x](../Makefile)",
        "docs/index.md links to ../Makefile, which is not a page of the site",
    ),
}


def test_whatever_is_broken_fails_the_build(tmp_path: Path) -> None:
    """Dead pages, dead anchors, links to files that are no pages, and a page that is in no menu."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("docs", "examples", "flow_resources", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    (tmp_path / "tests").mkdir()
    for file in ("mkdocs.yml", "LICENSE", "tests/frozen.json", *(page.name for page in ROOT.glob("*.md"))):
        shutil.copy(ROOT / file, tmp_path / file)
    with (tmp_path / "docs" / "index.md").open("a") as index:
        index.writelines(f"\n{link}\n" for link, _ in BROKEN.values())
    (tmp_path / "docs" / "forgotten.md").write_text("# Forgotten\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    for what, (_, said) in BROKEN.items():
        assert any(said in line for line in warnings), f"{what}: {done.stderr}"
    assert "forgotten.md" in done.stderr
    assert "warnings in strict mode" in done.stdout
