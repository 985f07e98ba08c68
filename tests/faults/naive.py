"""The control: a naive provider. Under the matrix it must create two clusters or orphan one.

It calls the Flow SDK and trusts each answer. It is correct as long as no request fails.
"""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from flow_resources.providers import base


def client() -> Any:
    """Return a client of the SDK without any wrapper."""
    from flow import Flow
    from flow.application.config.config import Config

    config = base.current().config
    settings = {"api_url": config("flow:apiUrl"), "project": config("flow:project"), "region": "us-central5-a"}
    return Flow(config=Config(provider="mithril", auth_token=config("flow:apiKey"), provider_config=settings))


class NaiveCluster(ResourceProvider):
    """Create runs a task, delete cancels it; nothing but the id is recorded."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Accept every input."""
        return CheckResult({name: value for name, value in news.items() if not name.startswith("__")}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Replace for every input that differs."""
        changed = [name for name in news if not name.startswith("__") and olds.get(name) != news[name]]
        return DiffResult(changes=bool(changed), replaces=changed)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Run a task and return its id."""
        from flow import TaskConfig
        from flow.domain.models.constraints import Constraints

        task = TaskConfig(
            command="sleep infinity",
            name="naive",
            instance_type=props["instance_type"],
            num_instances=int(props.get("num_instances", 1)),
            region=props["region"],
            max_price_per_hour=props["max_price_per_hour"],
            constraints=Constraints(regions=[props["region"]]),
            upload_code=False,
        )
        with client() as flow:
            return CreateResult(flow.run(task).task_id, dict(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Return the recorded outputs without asking the service."""
        return ReadResult(id_, dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Change nothing: every change is a replacement."""
        return UpdateResult(dict(news))

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Cancel the task."""
        with client() as flow:
            flow.cancel(id_)
