"""Many creates of one resource at once, and one request many times: one live bid, whoever sends it, however often."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.stack import PROVIDERS, Context, Create, Declared, Stack, cluster, operation, volume, wire

from flow_resources.core import naming
from flow_resources.errors import RejectedError
from flow_resources.testing import FakeMithril

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("keys", ["dedupe", "ignore"])
@pytest.mark.parametrize("declared", [cluster(), volume()], ids=["cluster", "volume"])
def test_fifty_threads_creating_one_owner_end_with_one(
    stack: Stack, cloud: FakeMithril, declared: Declared, keys: str
) -> None:
    """Creates of one resource take turns in a process, also where the service ignores keys."""
    cloud.set_options(idempotency=keys)
    stack.operation()
    news, urn = stack.check("one", declared, None), stack.urn("one", declared.type)

    def create(_: int) -> str:
        request = SimpleNamespace(urn=urn, timeout=0)
        return str(
            Create(PROVIDERS[declared.type](), lambda provider: provider.create(wire(news)), request, Context()).id
        )

    with ThreadPoolExecutor(50) as pool:
        ids = set(pool.map(create, range(50)))
    assert len(ids) == 1
    assert ids == {item["fid"] for item in [*cloud.bids, *cloud.volumes]}
    assert len([request for request in cloud.mutations if request.effect and "ssh-keys" not in request.path]) == 1


def make(size_gb: int) -> str:
    return operation().cloud.create_volume("data-1", size_gb, "file", "us-central5-a", "the-key").id


def test_the_same_key_five_times_is_one(stack: Stack, cloud: FakeMithril) -> None:
    """The service answers with what the first one made."""
    stack.operation()
    assert {make(100) for _ in range(5)} == {volume["fid"] for volume in cloud.volumes}
    assert len(cloud.volumes) == 1


def test_the_same_key_with_another_body_is_refused_in_one_clear_line(stack: Stack, cloud: FakeMithril) -> None:
    """Nothing is created, and nothing else is taken for it."""
    stack.operation()
    make(100)
    with pytest.raises(RejectedError, match=r"'data-1'.*already used with a different request body"):
        make(200)
    assert [volume["capacity_gb"] for volume in cloud.volumes] == [100]


def test_another_specification_never_has_the_key_of_the_first(stack: Stack, cloud: FakeMithril) -> None:
    """So the verbs never cause that error: all requests with one key have the same body."""
    for program in ({"one": cluster()}, {"one": cluster(num_instances=2)}, {"one": cluster(env={"A": "b"})}):
        stack.up(program)
    stack.destroy()
    stack.up({"two": volume()})
    stack.up({"two": volume(size_gb=200, allow_replace=True)})
    volumes = [str(request.body["name"]) for request in cloud.mutations if request.path == "/v2/volumes"]
    names = [*(bid["name"] for bid in cloud.bids), *volumes]
    assert len(set(names)) == len(names) == 5
    assert len({naming.sending(project, name) for name in names for project in ("proj_1", "proj_2")}) == 10


def race(cloud: FakeMithril) -> list[str]:
    """Let two processes create the same cluster; both have looked for it before either sends its request."""
    both = threading.Barrier(2)
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    # The SDK's last read before it sends the bid.
    cloud.faults.add(method="GET", path="/v2/reservation$", times=2, then=lambda _request: both.wait(60))
    command = [sys.executable, "-m", "verbs.racing", cloud.url, cloud.key, cloud.project]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    runs = [subprocess.Popen(command, cwd=TESTS, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return [run.communicate(timeout=600)[0].strip() for run in runs]


def test_of_two_processes_at_once_one_is_refused_where_the_service_knows_keys(stack: Stack, cloud: FakeMithril) -> None:
    """The SDK writes its session into the script of the machines: the same key, another body. One bid, one line."""
    lines = race(cloud)
    (bid,) = cloud.bids
    assert bid["fid"] in lines
    assert any("already used with a different request body" in line for line in lines)
    stack.up({"trainer": cluster(ssh_keys=["team"])})
    assert [bid["fid"] for bid in cloud.bids] == [stack.state["trainer"].id] == [bid["fid"]]


def test_of_two_processes_at_once_the_older_bid_stays_where_the_service_ignores_keys(
    stack: Stack, cloud: FakeMithril
) -> None:
    """Nothing can prevent the second bid; the next create of this resource ends it."""
    cloud.set_options(idempotency="ignore")
    made = race(cloud)
    assert sorted(made) == [bid["fid"] for bid in cloud.live_bids]
    assert len(set(made)) == 2
    stack.up({"trainer": cluster(ssh_keys=["team"])})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [min(made)]
