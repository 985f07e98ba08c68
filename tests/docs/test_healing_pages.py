"""docs/how-to/heal-with-*.md: what they show is what examples/09-watch has, and what they say of the watcher is true.

The files have their tests in tests/examples: test_watch_manifests.py, and test_watch_pulumi_cloud.py for the program of
how-to/heal-with-pulumi-cloud.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from docs.pages import EXAMPLES, ROOT, blocks, section, tables, titled

EXAMPLE = EXAMPLES / "09-watch"
HOW_TO = ROOT / "docs" / "how-to"
CRONJOB = HOW_TO / "heal-with-a-cronjob.md"
OPERATOR = HOW_TO / "heal-with-the-kubernetes-operator.md"
CLOUD = HOW_TO / "heal-with-pulumi-cloud.md"
PAGES = (CRONJOB, OPERATOR, CLOUD, HOW_TO / "share-state.md")


@pytest.mark.parametrize(
    ("page", "file"),
    [(CRONJOB, "cronjob.yaml"), (OPERATOR, "operator-stack.yaml"), (CLOUD, "pulumi_cloud/__main__.py")],
)
def test_a_page_shows_the_file_of_the_example(page: Path, file: str) -> None:
    """Word for word: whoever copies the page has what is tested."""
    assert titled(page, file) == (EXAMPLE / file).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_was_run(page: Path) -> None:
    """At its end, with what was not."""
    assert re.search(r"\b([Nn]o|[Nn]ot|[Nn]othing)\b", section(page, "What was run"))


def test_every_line_that_is_explained_is_in_the_manifest() -> None:
    """Of the CronJob."""
    manifest = (EXAMPLE / "cronjob.yaml").read_text()
    head, *rows = tables(CRONJOB.read_text())[0]
    assert head == ["line", "why"]
    for line, _ in rows:
        for text in re.findall(r"`([^`]+)`", line):
            assert text.replace("tini -e 3", '"tini", "-e", "3"') in manifest, text


def test_the_secret_has_what_the_manifests_take_from_it() -> None:
    """The command of the operator's page makes every key that its `Stack` names; the CronJob takes the Secret whole."""
    *_, stack = yaml.safe_load_all((EXAMPLE / "operator-stack.yaml").read_text())
    references = stack["spec"]["envRefs"].values()
    made = re.findall(r"--from-literal=(\w+)=", "".join(blocks(OPERATOR, "sh")))
    assert sorted(one["secret"]["key"] for one in references) == sorted(made)
    assert {one["secret"]["name"] for one in references} == {"flow-watch"}
    assert "create secret generic flow-watch " in "".join(blocks(OPERATOR, "sh"))
    assert "create secret generic flow-watch " in "".join(blocks(CRONJOB, "sh"))
