"""A hook of mkdocs: files outside docs/ become pages, and links to these files lead to the pages.

The files stay where GitHub shows them and are written once. A link from docs/ to a file that is not a page of the site
is a warning, which `make docs` treats as an error.
"""

from __future__ import annotations

import logging
import os
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LOG = logging.getLogger("mkdocs.hooks.docs_pages")

EXAMPLES = sorted(page.parent.name for page in (ROOT / "examples").glob("*/README.md"))
# A file of the repository, and the page that it becomes. A folder is its README.md.
PAGES = {
    "README.md": "repository/readme.md",
    "CHANGELOG.md": "repository/changelog.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "SECURITY.md": "repository/security.md",
    "LICENSE": "repository/license.md",
    "tests/frozen.json": "repository/frozen.md",
    "examples/README.md": "examples/index.md",
    **{f"examples/{name}/README.md": f"examples/{name}.md" for name in EXAMPLES},
}
UNLISTED = ("README.md", "LICENSE", "tests/frozen.json")  # reached by links, not by the menu
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".ts": "typescript", ".go": "go"}
# Of an example, in this order.
SHOWN = (
    *("Pulumi.yaml", "*.py", "index.ts", "main.go", "*.ts", "*.go"),
    *("Dockerfile", "[a-z]*.yaml", "requirements.txt", "package.json", "tsconfig.json", "go.mod"),
)
INSTALLED = "node_modules"  # not of the repository, where somebody has run an example
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
CODE = re.compile(r"^(```.*?^```)$", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the examples to the menu."""
    for entry in config.nav or []:
        if "Examples" in entry:
            entry["Examples"] = ["examples/index.md", *(f"examples/{name}.md" for name in EXAMPLES)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for source, uri in PAGES.items():
        file = File.generated(config, uri, content=text_of(source))
        if source in UNLISTED:
            file.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let each relative link lead to a page of the site; blocks of code are not changed."""
    sources = {uri: source for source, uri in PAGES.items()}
    here = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    parts = CODE.split(markdown)
    parts[::2] = [LINK.sub(lambda match: link(match, here, page.file.src_uri), part) for part in parts[::2]]
    return "".join(parts)


def link(match: re.Match[str], here: str, uri: str) -> str:
    """Return a link as the page `uri` needs it, which is the file `here` of the repository."""
    target, mark, anchor = match[2].partition("#")
    if not target or re.match(r"[a-z]+:", target):
        return match[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(here), target))
    goal = PAGES.get(path) or PAGES.get(f"{path}/README.md") or example_of(path)
    if goal is None and path.startswith("docs/"):
        goal = path.removeprefix("docs/")
    if goal is None:
        LOG.warning("%s links to %s, which is not a page of the site", here, target)
        return match[0]
    return f"{match[1]}{posixpath.relpath(goal, posixpath.dirname(uri) or '.')}{mark}{anchor}{match[3]}"


def example_of(path: str) -> str | None:
    """Return the page of the example that a file belongs to."""
    folder, _, rest = path.removeprefix("examples/").partition("/")
    return PAGES.get(f"examples/{folder}/README.md") if rest and (ROOT / path).exists() else None


def text_of(source: str) -> str:
    """Return a file as a page: Markdown as it is, an example with its programs, anything else as code."""
    path = ROOT / source
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        return f"# {path.name}\n\n{fenced(path, source)}"
    if path.parent.parent != ROOT / "examples":
        return text
    found = {file: None for name in SHOWN for file in sorted(path.parent.rglob(name)) if INSTALLED not in file.parts}
    listed = "\n".join(fenced(file, os.path.relpath(file, path.parent)) for file in found)
    return f"{text}\n## The files\n\n{listed}"


def fenced(path: Path, title: str) -> str:
    """Return a file as a block of code."""
    language = LANGUAGES.get(path.suffix, "text")
    return f'```{language} title="{title}"\n{path.read_text(encoding="utf-8").rstrip()}\n```\n'
