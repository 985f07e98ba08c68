"""The control: a provider as everybody would write it first. Under the matrix it must rent twice, or forget a cluster.

It asks the Flow SDK and believes the answer. Nothing in it is wrong on a day on which nothing goes wrong.
"""

from __future__ import annotations

from typing import Any

from pulumi.dynamic import CheckResult, CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from flow_resources.providers import base


def client() -> Any:
    """Return the SDK as it comes."""
    from flow import Flow
    from flow.application.config.config import Config

    ask = base.current().config
    settings = {"api_url": ask("flow:apiUrl"), "project": ask("flow:project"), "region": "us-central5-a"}
    return Flow(config=Config(provider="mithril", auth_token=ask("flow:apiKey"), provider_config=settings))


class NaiveCluster(ResourceProvider):
    """Create runs, delete cancels, and the id is all that there is to know."""

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Take whatever comes."""
        return CheckResult({name: value for name, value in news.items() if not name.startswith("__")}, [])

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Say that whatever differs differs."""
        changed = [name for name in news if not name.startswith("__") and olds.get(name) != news[name]]
        return DiffResult(changes=bool(changed), replaces=changed)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Run, and return the id."""
        from flow import TaskConfig
        from flow.domain.models.constraints import Constraints

        wanted = TaskConfig(
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
            return CreateResult(flow.run(wanted).task_id, dict(props))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Believe in what there was."""
        return ReadResult(id_, dict(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Change nothing: everything replaces."""
        return UpdateResult(dict(news))

    def delete(self, id_: str, _props: dict[str, Any]) -> None:
        """Cancel."""
        with client() as flow:
            flow.cancel(id_)
