"""Provider: an account of Mithril for some of a program's resources, served by the provider plugin."""

from __future__ import annotations

from decimal import Decimal

import pulumi

from flow_resources.arguments import carried_properties
from flow_resources.core.config_keys import NAMESPACE, OF_PROVIDERS


class Provider(pulumi.ProviderResource):
    """Settings of their own for the resources that have this provider, such as another account or project.

    `GpuCluster("west", ..., opts=pulumi.ResourceOptions(provider=west))` uses it; so do the children of a resource that
    has it. Their verbs run in the provider plugin instead of Pulumi's dynamic provider: `flow-resources plugin install`
    makes the plugin known to Pulumi.

    What is not set here is read as everywhere else, from the environment and then from the Flow SDK's own file; of the
    stack's configuration (`flow:apiKey`, ...) an explicit provider reads nothing. Each provider has a process of its
    own, and its budget covers the clusters and jobs of that provider alone: budgets of several providers are not summed
    up, and `flow:maxCostPerHour` does not cover them.
    """

    def __init__(
        self,
        name: str,
        *,
        api_key: pulumi.Input[str] | None = None,
        project: pulumi.Input[str] | None = None,
        region: pulumi.Input[str] | None = None,
        api_url: pulumi.Input[str] | None = None,
        owner: pulumi.Input[str] | None = None,
        max_cost_per_hour: pulumi.Input[float | Decimal] | None = None,
        allow_job_keys: pulumi.Input[bool] | None = None,
        market_lines: pulumi.Input[bool] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare a provider.

        Args:
            name: The provider's name in the program.
            api_key: The API key. Secret in the state, always; a key from the environment is in no state. Default:
                MITHRIL_API_KEY, else that of the Flow SDK's own file.
            project: The project, by name or id. Default: MITHRIL_PROJECT, else that of the Flow SDK's own file, else
                the only project of the account.
            region: The region of what does not say one. Default: MITHRIL_REGION, else that of the Flow SDK's own file.
            api_url: The address of the service. Default: MITHRIL_API_URL, else that of the Flow SDK's own file, else
                the service's own.
            owner: Whose the resources are: part of the mark in their names. Default: organization/project/stack.
            max_cost_per_hour: The budget: the most that the clusters and jobs of this provider may cost together, in
                USD per hour. Default: none.
            allow_job_keys: Whether machines of jobs may have an API key of yours. Default: they may not.
            market_lines: Whether previews tell what the market asks. Default: they do.
            opts: Pulumi's resource options.

        Raises:
            pulumi.RunError: An argument is of a type that Pulumi cannot carry.

        """
        arguments = {
            "api_key": api_key,
            "project": project,
            "region": region,
            "api_url": api_url,
            "owner": owner,
            "max_cost_per_hour": max_cost_per_hour,
            "allow_job_keys": allow_job_keys,
            "market_lines": market_lines,
        }
        props = carried_properties(f"Provider {name!r}", OF_PROVIDERS, arguments)
        if api_key is not None:
            props["api_key"] = pulumi.Output.secret(props["api_key"])
        super().__init__(NAMESPACE, name, props, opts)
