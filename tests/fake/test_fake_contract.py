"""Every endpoint of the fake with generated requests, validated against the API's document.

The requests are of three kinds: valid ones with ids that exist, the same with an error in them, and valid ones with
arbitrary ids. Each response is one that the document declares, or an error in its format.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager

import httpx
import pytest
from contract import Contract
from generated_requests import KEY_TAG, START, askable, seed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flow_resources.testing import Clock, FakeMithril
from flow_resources.testing.web.routes import paths

CONTRACT = Contract()
ROUTES = sorted(route for route in paths() if route[1].startswith(("/v2/", "/marketplace/")))
SHORT = 20
LENGTHS = [
    pytest.param(SHORT, id="short"),
    pytest.param(500, marks=[pytest.mark.sweep, pytest.mark.timeout(3600)], id="sweep"),
]


def takes_something(method, path):
    """Say whether there is anything in a request that could be wrong."""
    operation = CONTRACT.operation(method, path.replace("{fid}", "x"))
    return bool(operation.get("parameters")) or "requestBody" in operation


@pytest.fixture(scope="session")
def operations():
    """Return what can be asked, by method and path: with ids that exist, and with any."""
    schemathesis = pytest.importorskip("schemathesis")

    def read(useful):
        schema = schemathesis.openapi.from_dict(askable(CONTRACT.document, useful=useful))
        operations = [result.ok() for result in schema.get_all_operations()]
        return {
            (operation.method.upper(), re.sub(r"\{\w+\}", "{fid}", operation.path)): operation
            for operation in operations
        }

    return {"useful": read(useful=True), "wild": read(useful=False)}


@contextmanager
def busy_cloud(clock):
    """Start a cloud with something of everything, and give what sends it a made-up request."""
    import requests

    with pytest.MonkeyPatch.context() as patch, FakeMithril(clock=clock) as mithril, requests.Session() as session:
        patch.setattr("flow_resources.testing.service.accounts.Accounts._key_tag", lambda _: KEY_TAG)
        headers = {"Authorization": f"Bearer {mithril.key}"}
        with httpx.Client(base_url=mithril.url, headers=headers, trust_env=False) as client:
            seed(mithril, client)
        session.trust_env = False

        def send(case):
            """Send a request, hold the answer against the contract, and return its status."""
            answer = case.call(base_url=mithril.url, session=session, headers=headers)
            sent = httpx.Request(case.method, answer.request.url)
            got = {name: values[0] for name, values in answer.headers.items()}
            CONTRACT.check(httpx.Response(answer.status_code, headers=got, content=answer.content, request=sent))
            assert answer.status_code < 500, answer.text
            if "requestBody" in CONTRACT.operation(case.method, sent.url.path) and answer.status_code < 400:
                assert CONTRACT.takes(case.method, sent.url.path, json.loads(answer.request.body))
            return answer.status_code

        yield send


def made_up(operation, way):
    """Return the requests of one operation, made up in one of the three ways."""
    from schemathesis.generation import GenerationMode

    return operation.as_strategy(generation_mode=GenerationMode.NEGATIVE if way == "wrong" else GenerationMode.POSITIVE)


def ask(strategy, examples, test):
    """Call `test` with so many examples: the same ones in every ordinary run, new ones in every sweep."""
    chosen = settings(
        max_examples=examples,
        derandomize=examples == SHORT,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )

    @chosen
    @given(strategy)
    def each(example):
        test(example)

    each()


def statuses(operation, way, examples):
    """Send made-up requests of one operation to one cloud, and return the statuses of the answers."""
    seen = set()
    with busy_cloud(Clock(START)) as send:
        ask(made_up(operation, way), examples, lambda case: seen.add(send(case)))
    return seen


def test_no_path_is_answered_that_the_document_does_not_know():
    """Such a route would never be asked below."""
    documented = {
        re.sub(r"\{\w+\}", "{fid}", path): operations for path, operations in CONTRACT.document["paths"].items()
    }
    assert [(method, path) for method, path in ROUTES if method.lower() not in documented.get(path, ())] == []


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_answered_without_a_key(mithril, method, path):
    """401, whatever is asked."""
    answer = httpx.request(method, mithril.url + path.replace("{fid}", "bid_000001"), trust_env=False)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("examples", LENGTHS)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_what_the_document_offers_can_be_had(operations, method, path, examples):
    """Every path is answered with success, in the form that the document promises."""
    assert statuses(operations["useful"][method, path], "useful", examples) & {200, 201, 204}


@pytest.mark.parametrize("examples", LENGTHS)
@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if takes_something(*route)])
def test_what_is_wrong_is_refused(operations, method, path, examples):
    """With a 4xx, and nothing that the document forbids is taken."""
    assert statuses(operations["useful"][method, path], "wrong", examples) & {400, 404, 409, 422}


@pytest.mark.parametrize("examples", LENGTHS)
@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if takes_something(*route)])
def test_any_text_may_stand_for_an_id(operations, method, path, examples):
    """It is not found, or refused; nothing breaks."""
    assert statuses(operations["wild"][method, path], "wild", examples) <= {200, 201, 204, 400, 403, 404, 409, 422}


@pytest.mark.parametrize("examples", LENGTHS)
def test_no_story_breaks_the_cloud(operations, examples):
    """Requests of all kinds, one after the other on one cloud, with time going by in between."""
    cases = st.one_of([made_up(operations["useful"][route], "useful") for route in ROUTES])
    hours = st.sampled_from([0.0, 0.5, 8.0])

    def tell(story):
        clock = Clock(START)
        with busy_cloud(clock) as send:
            for case, wait in story:
                send(case)
                clock.advance(hours=wait)

    ask(st.lists(st.tuples(cases, hours), min_size=5, max_size=30), examples, tell)
