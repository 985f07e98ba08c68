"""The files of the page: their paths, their references to each other, and that a wheel contains them."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from flow_resources.testing.web import page

_ROOT = Path(__file__).parents[2]
_FOLDER = Path(page.__file__).parent
_NAMES = sorted(file.name for file in _FOLDER.iterdir() if file.suffix in (".html", ".css", ".js"))


def _read(path: str) -> str:
    content = page.asset(path)
    assert content is not None, path
    return content[0].decode()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/charts.js", "text/javascript; charset=utf-8"),
    ],
)
def test_every_file_has_a_path_and_the_content_type_that_a_browser_insists_on(path: str, content_type: str) -> None:
    """Browsers refuse modules and style sheets of a wrong type."""
    content = page.asset(path)
    assert content is not None
    assert content == ((_FOLDER / (path[1:] or "index.html")).read_bytes(), content_type)


@pytest.mark.parametrize(
    "path",
    ["", "/__init__.py", "/v2/me", "/../__init__.py", "/../page/page.js", "//page.js", "/page.js/", "/nothing.js"],
)
def test_there_is_nothing_under_any_other_path(path: str) -> None:
    """Neither the API's paths nor what lies around the page is an asset."""
    assert page.asset(path) is None


def test_whatever_a_file_refers_to_is_there() -> None:
    """Every script, style sheet and import leads to another file of the page."""
    html = _read("/")
    referenced = set(re.findall(r'(?:src|href)="([^"#:]+)"', html))
    assert "page.js" in referenced
    assert '<link rel="icon" href="data:' in html, "browsers ask for /favicon.ico otherwise"
    reached, ahead = {"index.html"}, list(referenced)
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += set(re.findall(r'from "\./([^"]+)"', _read(f"/{name}"))) - reached
    assert sorted(reached) == _NAMES


@pytest.mark.parametrize("name", _NAMES)
def test_nothing_is_fetched_from_elsewhere(name: str) -> None:
    """No file names another host; the namespace of SVG is a name, not an address."""
    text = (_FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"(?:https?:)?//[\w-]+\.\w+|@import|url\(", text) == []


@pytest.mark.parametrize("name", _NAMES)
def test_no_file_turns_text_into_markup_or_code(name: str) -> None:
    """Names of clusters are arbitrary text."""
    text = (_FOLDER / name).read_text()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text) == []


def test_a_wheel_carries_the_page(tmp_path: Path) -> None:
    """What is installed is what is in the repository, down to the files that are not Python."""
    (built,) = WheelBuilder(str(_ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(built) as wheel:
        carried = {name: wheel.read(name) for name in wheel.namelist()}
    for name in _NAMES:
        assert carried[f"flow_resources/testing/web/page/{name}"] == (_FOLDER / name).read_bytes()
