"""What is printed for mistakes in a program, by the language host or by the plugin: nothing is sent."""

from __future__ import annotations

from pathlib import Path

from docs.pages import ROOT, section, tables, ticked
from support.languages import YamlProject, make_plugin

from flow_resources.testing import FakeMithril

CLUSTER = """
resources:
  trainer:
    type: flow:GpuCluster
    properties:
      instance_type: 8xa100
      max_price_per_hour: 20
      region: us-central5-a
"""
ACCOUNT = """
resources:
  account:
    type: pulumi:providers:flow
    properties:
      region: us-central5-a
  trainer:
    type: flow:GpuCluster
    properties:
      instance_type: 8xa100
      max_price_per_hour: 20
    options:
      provider: ${account}
"""
MISTAKES = [
    ("instance_type:", "instance_typ:", "does not exist on 'flow:index:"),
    ("flow:GpuCluster", "flow:GpuClster", 'unable to find resource type "flow:'),
    ("max_price_per_hour: 20", "max_price_per_hour: twenty", "Cannot assign type 'string' to type 'number'"),
    ("region: us-central5-a", "wait_for: runing", "Allowed values are"),
    ("instance_type: 8xa100", "instance_type: 9xa100", "is not in the service's catalogue"),
    ("region: us-central5-a", "region: us-central5-z", "is not a region of the service"),
]


def test_a_mistake_in_yaml_is_said_where_it_is(tmp_path: Path, cloud: FakeMithril) -> None:
    """Misspelt inputs and types by the language host, wrong values by the plugin, settings by both."""
    project = YamlProject.make(tmp_path, cloud, CLUSTER)
    for written, instead, said in MISTAKES:
        project.edit(written, instead)
        assert said in project.preview().failed().text
        project.edit(instead, written)
    project.write(ACCOUNT)
    project.edit("region:", "api_ky:")
    assert "does not exist on 'pulumi:providers:flow'" in project.preview().failed().text
    project.edit("api_ky:", "region:")
    key = project.env.pop("MITHRIL_API_KEY")
    printed = project.preview().failed().text
    assert "resource 'account' has a problem: there is no API key: " in printed
    assert "(or `api_key` of a provider)" in printed
    project.env["MITHRIL_API_KEY"] = key
    assert "to create" in project.preview().ok().text
    assert not cloud.mutations


def test_a_plugin_that_is_not_installed_is_missed(tmp_path: Path, cloud: FakeMithril) -> None:
    """Pulumi looks for a download, which there is none of, and shows the line of the type; the example's says more."""
    project = YamlProject.make(tmp_path, cloud, CLUSTER)
    example = (ROOT / "examples" / "13-yaml" / "Pulumi.yaml").read_text()
    (project.folder / "Pulumi.yaml").write_text(example.replace("name: flow-yaml", f"name: {project.name}"))
    # No other machine is asked; an answer that there is none reads the same up to there.
    project.env |= {"HTTPS_PROXY": "http://127.0.0.1:9", "PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    project.env |= {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "false"}
    missed = project.preview().failed().text
    assert "could not find latest version for provider flow" in missed
    assert "`flow-resources plugin install`" in missed
    project.env |= {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    assert "no resource plugin 'pulumi-resource-flow' found" in project.preview().failed().text
    assert not cloud.requests

    found = make_plugin(tmp_path / "plugin")
    project.env |= {"PATH": f"{found}:{project.env['PATH']}", "PULUMI_IGNORE_AMBIENT_PLUGINS": "false"}
    assert "using pulumi-resource-flow from $PATH" in project.preview().ok().text


def test_a_volume_of_one_account_is_not_mounted_by_another(tmp_path: Path, cloud: FakeMithril) -> None:
    """Before anything is placed; and each provider makes its own with its own key, which no output tells."""
    cloud.add_project("other", keys=["other-key"])
    project = YamlProject.make(
        tmp_path,
        cloud,
        """
        resources:
          ours:
            type: pulumi:providers:flow
            properties: {region: us-central5-a}
          theirs:
            type: pulumi:providers:flow
            properties:
              region: us-central5-a
              api_key: {"fn::secret": other-key}
              project: other
          data:
            type: flow:Volume
            properties: {size_gb: 10}
            options: {provider: "${ours}"}
          trainer:
            type: flow:GpuCluster
            properties:
              instance_type: 8xa100
              max_price_per_hour: 20
              wait_for: placed
              volumes: [{volume_id: "${data.volume_id}", mount_path: /mnt/data}]
            options: {provider: "${theirs}"}
        """,
    )
    printed = project.up().failed().text
    assert "volumes[0].volume_id is not a volume of the project" in printed
    assert "other-key" not in printed
    assert not cloud.bids

    project.edit('volumes: [{volume_id: "${data.volume_id}", mount_path: /mnt/data}]', "paused: false")
    project.up().ok()
    (bid,), (volume,) = cloud.live_bids, cloud.volumes
    assert bid["project"] != volume["project"]
    assert "other-key" not in project.export()
    cloud.clear_requests()
    assert "unchanged" in project.preview("--expect-no-changes").ok().text
    project.destroy().ok()
    assert not cloud.live_bids
    assert not cloud.volumes


def test_the_messages_of_the_page_are_printed() -> None:
    """Each is provoked here, or by the tests of a language."""
    (table,) = tables(section(ROOT / "docs" / "troubleshooting.md", "Messages of Pulumi in other languages"))
    source = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert len(table) > 5
    for row in table[1:]:
        assert ticked(row[0])[0] in source, row[0]
