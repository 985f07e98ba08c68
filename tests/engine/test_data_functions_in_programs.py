"""Programs that read what the service offers, and what previews say of budgets, through the real engine."""

from __future__ import annotations

from pathlib import Path

from support.engine import Project

from flow_resources.testing import FakeMithril

READING = """
    import pulumi
    from flow_resources import Volume, get_market, get_market_output, get_regions, get_regions_output

    data = Volume("data", size_gb=1, region="us-central5-a")
    pulumi.export("regions", get_regions())
    pulumi.export("again", get_regions_output())
    pulumi.export("market", get_market("8xa100", "us-central5-a"))
    market = get_market_output("8xa100", data.region)
    pulumi.export("there", market)
    pulumi.export("per_gpu", market.price_per_gpu)
"""
TWO = """
    from flow_resources import GpuCluster, Job

    place = {"instance_type": "8xa100", "region": "us-central5-a"}
    GpuCluster("a", max_price_per_hour=20.0, num_instances=4, **place)
    Job("b", command="true", max_price_per_hour=20.01, **place)
"""


def test_a_program_exports_what_it_has_read(tmp_path: Path, cloud: FakeMithril) -> None:
    """With the settings of the stack, its secret key included; no value is secret, and nothing is read twice."""
    project = Project.make(tmp_path, cloud, READING)
    del project.env["MITHRIL_API_KEY"]
    project.run("config", "set", "--secret", "flow:apiKey", cloud.key).ok()
    assert "regions" in project.preview().ok().text
    cloud.clear_requests()
    text = project.up().ok().text
    assert cloud.key not in text
    outputs = project.outputs()
    assert outputs["regions"] == outputs["again"]
    assert "us-central5-a" in outputs["regions"]
    assert outputs["market"] == outputs["there"]
    assert (outputs["market"]["price"], outputs["per_gpu"]) == (12.0, 1.5)
    assert "[secret]" not in project.run("stack", "output").ok().text
    assert cloud.key not in project.export()
    read = [request.path for request in cloud.requests]
    assert read.count("/v2/pricing/current") == 1
    project.edit('get_market("8xa100", "us-central5-a")', 'get_market("8xa100", "nowhere")')
    failed = project.preview().failed().text
    assert "get_market: 'nowhere' is not a region of the service: there are" in failed


def test_a_stack_one_cent_over_its_budget_fails_its_preview(tmp_path: Path, cloud: FakeMithril) -> None:
    """Exactly the budget passes; each row tells the sum so far. A market that answers 500 changes nothing of it."""
    project = Project.make(tmp_path, cloud, TWO)
    project.run("config", "set", "flow:allowJobKeys", "true").ok()
    project.run("config", "set", "flow:maxCostPerHour", "100.00").ok()
    over = project.preview().failed().text
    assert "exceeds the stack's budget flow:maxCostPerHour of $100.00/h by $0.01/h" in over
    assert not cloud.mutations
    cloud.faults.add(path="/v2/pricing/", times=None, status=500)
    project.edit("20.01", "20.00")
    within = project.preview().ok().text
    assert "stack so far $100.00/h of $100.00/h" in within
    assert (
        "max $80.00/h (4 x $20.00), market $48.00/h now, about $1,152 a day, in us-central5-a; stack so far" in within
    )
    assert "the prices of the market are not known: " in within
