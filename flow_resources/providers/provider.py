"""The base of the frozen provider classes: what the dynamic host finds by the name that a state records.

A program needs a provider for its name alone, so everything that the verbs need is imported by the plugin, when the
host calls the first of them.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from flow_resources.heap import collecting_later, share_one_heap

if TYPE_CHECKING:
    from flow_resources.lifecycle.resource import Resource
    from flow_resources.providers.base import Verbs


class FlowProvider(ResourceProvider, abc.ABC):
    """The verbs of a kind of resource. A subclass returns its kind and adds nothing."""

    serialize_as_secret_always = False

    @staticmethod
    @abc.abstractmethod
    def resource() -> Resource[Any, Any, Any]:
        """Return the kind."""

    @property
    def _verbs(self) -> Verbs:
        from flow_resources.providers.base import Verbs

        return Verbs(self.resource())

    def configure(self, req: ConfigureRequest) -> None:
        """Take the stack's config; called once per class and process."""
        share_one_heap()  # before the imports, while the host has few threads
        with collecting_later():
            self._verbs.configure(req)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Report every bad input at once."""
        return self._verbs.check(_olds, news)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Say what a change does."""
        return self._verbs.diff(_id, _olds, _news)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it, or take over what an earlier create left."""
        return self._verbs.create(props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Tell what is true now."""
        return self._verbs.read(id_, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change it in place."""
        return self._verbs.update(_id, _olds, _news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """End it and see it gone."""
        self._verbs.delete(_id, _props)
