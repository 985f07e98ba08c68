"""Concurrent creates of one resource, and one request sent many times: there is one live bid."""

from __future__ import annotations

import importlib.util
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
from flow_resources.providers import base
from flow_resources.testing import FakeMithril

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("keys", ["dedupe", "ignore"])
@pytest.mark.parametrize("declared", [cluster(), volume()], ids=["cluster", "volume"])
def test_fifty_concurrent_creates_make_one(stack: Stack, cloud: FakeMithril, declared: Declared, keys: str) -> None:
    """A process serialises the creates of a resource, also where the service ignores idempotency keys."""
    cloud.set_options(idempotency=keys)
    stack.operation()
    news, urn = stack.check("it", declared, None), stack.urn("it", declared.type)

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


def create_volume(size_gb: int) -> str:
    return operation().cloud.create_volume("data-1", size_gb, "file", "us-central5-a", "the-key").volume.id


def test_five_requests_with_one_key_make_one_volume(stack: Stack, cloud: FakeMithril) -> None:
    """The service answers with the volume of the first request."""
    stack.operation()
    assert {create_volume(100) for _ in range(5)} == {volume["fid"] for volume in cloud.volumes}
    assert len(cloud.volumes) == 1


def test_a_key_with_another_body_is_refused(stack: Stack, cloud: FakeMithril) -> None:
    """With one line; nothing is created or taken over."""
    stack.operation()
    create_volume(100)
    with pytest.raises(RejectedError, match=r"'data-1'.*already used with a different request body"):
        create_volume(200)
    assert [volume["capacity_gb"] for volume in cloud.volumes] == [100]


def test_another_specification_has_another_key(stack: Stack, cloud: FakeMithril) -> None:
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


def run_two_processes(cloud: FakeMithril) -> list[str]:
    """Create the same cluster in two processes, each of which has found none before the other sends its request."""
    barrier = threading.Barrier(2)
    cloud.add_ssh_key("team", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 team")
    # The last read of the SDK before it sends the bid.
    cloud.faults.add(method="GET", path="/v2/reservation$", times=2, then=lambda _request: barrier.wait(60))
    command = [sys.executable, "-m", "verbs.concurrent_up", cloud.url, cloud.key, cloud.project]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    runs = [subprocess.Popen(command, cwd=TESTS, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return [run.communicate(timeout=600)[0].strip() for run in runs]


def test_of_two_processes_one_is_refused_where_the_service_honours_keys(stack: Stack, cloud: FakeMithril) -> None:
    """The SDK writes its session into the start-up script: the same key, another body. One bid, one error."""
    lines = run_two_processes(cloud)
    (bid,) = cloud.bids
    assert bid["fid"] in lines
    assert any("already used with a different request body" in line for line in lines)
    stack.up({"trainer": cluster(ssh_keys=["team"])})
    assert [bid["fid"] for bid in cloud.bids] == [stack.state["trainer"].id] == [bid["fid"]]


def test_of_two_processes_the_older_bid_is_kept_where_the_service_ignores_keys(
    stack: Stack, cloud: FakeMithril
) -> None:
    """The second bid cannot be prevented; the next create of this resource cancels it."""
    cloud.set_options(idempotency="ignore")
    ids = run_two_processes(cloud)
    assert sorted(ids) == [bid["fid"] for bid in cloud.live_bids]
    assert len(set(ids)) == 2
    stack.up({"trainer": cluster(ssh_keys=["team"])})
    assert [bid["fid"] for bid in cloud.live_bids] == [stack.state["trainer"].id] == [min(ids)]


def test_the_first_verbs_of_a_process_share_one_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that came at once would each begin one, and close the other's: it is there when the module is imported."""
    spec = importlib.util.spec_from_file_location("a_new_process", base.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # as an import does
    spec.loader.exec_module(module)
    with ThreadPoolExecutor(4) as pool:
        deployments = list(pool.map(lambda _: module.current(), range(4)))
    assert {id(deployment) for deployment in deployments} == {id(module._deployment)}
