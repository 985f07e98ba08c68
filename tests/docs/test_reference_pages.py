"""The tables of docs/reference/ are those of the classes, of the field tables and of the settings that are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from docs.pages import ROOT, section, source_files, tables, ticked

from flow_resources import GpuCluster, Job, Provider, SshKey, Volume
from flow_resources.core import cluster_fields, job_fields, ssh_key_fields, volume_fields
from flow_resources.core.config_keys import OF_PROVIDERS, SETTINGS
from flow_resources.core.inputs import Change, Field

REFERENCE = ROOT / "docs" / "reference"
PAGES = {
    GpuCluster: REFERENCE / "gpu-cluster.md",
    Job: REFERENCE / "job.md",
    SshKey: REFERENCE / "ssh-key.md",
    Volume: REFERENCE / "volume.md",
}
SECTIONS = {GpuCluster: "A cluster", Job: "A job", SshKey: "An SSH key", Volume: "A volume"}
PROVIDER = REFERENCE / "provider.md"
CHANGES, CONFIGURATION = REFERENCE / "changes.md", REFERENCE / "configuration.md"
RESOURCES = [
    (GpuCluster, cluster_fields.FIELDS),
    (Job, job_fields.FIELDS),
    (SshKey, ssh_key_fields.FIELDS),
    (Volume, volume_fields.FIELDS),
]
MATRIX = {
    Change.REPLACE: "replaces",
    Change.UPDATE: "in place",
    Change.STATE: "recorded only",
    Change.CREATE_ONLY: "nothing: only the first create",
    Change.GUARDED: "refused at preview, because the data would be lost; replaces with `allow_replace=True`",
}
each_resource = pytest.mark.parametrize(
    ("resource", "fields"), RESOURCES, ids=["GpuCluster", "Job", "SshKey", "Volume"]
)


def rows(page: Path, title: str) -> dict[str, list[str]]:
    """Return the rows of the table of a section, by each name that its first column has in backticks."""
    (table,) = tables(section(page, title))
    return {name: row[1:] for row in table[1:] for name in ticked(row[0])}


@each_resource
def test_the_table_of_outputs_is_the_class(resource: type[Any], fields: Sequence[Field]) -> None:
    """Every output that is described in the class, and none that is not there."""
    properties = {name for name, value in vars(resource).items() if isinstance(value, property)}
    annotated = {*resource.__annotations__, *properties}
    listed = set(rows(PAGES[resource], "Outputs"))
    assert listed <= annotated
    assert annotated - listed <= {field.name for field in fields}


@each_resource
def test_the_matrix_is_that_of_the_field_tables(resource: type[Any], fields: Sequence[Field]) -> None:
    """Every input has a row, which says what the table of fields says."""
    listed = rows(CHANGES, SECTIONS[resource])
    assert set(listed) == {field.name for field in fields}
    for field in fields:
        assert listed[field.name][0].startswith(MATRIX[field.change]), field.name


def test_every_setting_is_read_somewhere() -> None:
    """The keys and variables of the table of configuration, and no key of the source is missing."""
    (table,) = tables(CONFIGURATION.read_text())
    listed = {word for row in table[1:] for cell in row[1:3] for word in ticked(cell)}
    listed.discard("--secret")
    package = "\n".join(path.read_text() for path in source_files())
    sdk = {"MITHRIL_API_KEY", "MITHRIL_PROJECT", "MITHRIL_REGION", "MITHRIL_API_URL"}
    own = set(re.findall(r'"(FLOW_RESOURCES_\w+)"', package))
    read = set(re.findall(r'stack_config\("(flow:\w+)"\)', package)) | {"flow:owner", "flow:host"} | own
    assert 'pulumi.Config("flow").get("owner")' in package
    assert listed == read | sdk
    assert {key for key in listed if key.startswith("flow:")} == {one.key for one in SETTINGS}
    assert {one.environment for one in SETTINGS} - {""} == sdk


def test_the_settings_of_a_provider_are_those_of_the_table() -> None:
    """Each one with its type, and no other."""
    (table,) = tables(section(PROVIDER, "Settings of a provider"))
    assert {ticked(row[0])[0]: row[1] for row in table[1:]} == {one.name: one.type for one in OF_PROVIDERS}
    assert {*inspect.signature(Provider).parameters} - {"name", "opts"} == {one.name for one in OF_PROVIDERS}
