"""The settings of a stack and of an explicit provider, in one table.

`flow:apiKey` of a stack's configuration and `api_key` of a provider resource are one setting. The engine hands the
configuration of the stack to the default provider of a plugin under its own spelling, `apiKey`; what a program says to
a provider of its own has the spelling of all other properties, `api_key`. So a plugin gets both, and `setting_of`
knows both.
"""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "flow"
DYNAMIC, PLUGIN = "dynamic", "plugin"
HOSTS = (DYNAMIC, PLUGIN)


@dataclass(frozen=True)
class Setting:
    """One setting."""

    name: str
    """How a provider resource spells it: `api_key`."""
    doc: str
    """What it means, with its unit, and its default where that is not a value."""
    type: str = "string"
    """The type of its value, in the words of the tables of inputs."""
    default: str | float | bool | None = None
    secret: bool = False
    environment: str = ""
    """The variable of the environment that is read where the setting is absent; empty where there is none."""
    choices: tuple[str, ...] = ()
    """The values that it can have, where only these are allowed."""
    of_program: bool = False
    """Whether the program reads it, from the configuration of its stack alone, and no provider has it."""

    @property
    def sensitive(self) -> bool:
        """Whether no message shows its values."""
        return self.secret

    @property
    def public(self) -> bool:
        """Whether it must hold no secret: none must."""
        return False

    @property
    def spelling(self) -> str:
        """How the configuration of a stack spells it, without the namespace: `apiKey`."""
        first, *others = self.name.split("_")
        return first + "".join(map(str.capitalize, others))

    @property
    def key(self) -> str:
        """Its key in the configuration of a stack: `flow:apiKey`."""
        return f"{NAMESPACE}:{self.spelling}"


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "api_key",
        "The API key of the Mithril account. Default: MITHRIL_API_KEY, else that of the Flow SDK's own file. In the "
        "configuration of a stack and of a provider it is in the state, encrypted; from the environment it is not.",
        secret=True,
        environment="MITHRIL_API_KEY",
    ),
    Setting(
        "project",
        "The project, by name or id. Default: MITHRIL_PROJECT, else that of the Flow SDK's own file, else the only "
        "project of the account.",
        environment="MITHRIL_PROJECT",
    ),
    Setting(
        "region",
        "The region of what does not say one. Default: MITHRIL_REGION, else that of the Flow SDK's own file.",
        environment="MITHRIL_REGION",
    ),
    Setting(
        "api_url",
        "The address of the service. Default: MITHRIL_API_URL, else that of the Flow SDK's own file, else the "
        "service's own.",
        environment="MITHRIL_API_URL",
    ),
    Setting(
        "owner",
        "Whose the resources are: it is part of the mark in their names in the service. Default: "
        "organization/project/stack.",
    ),
    Setting(
        "max_cost_per_hour",
        "The budget: the most that all clusters and jobs of this provider may cost together, in USD per hour. It is "
        "checked at preview. It covers one provider, so the budgets of two providers do not add up. Default: none.",
        type="number",
    ),
    Setting(
        "allow_job_keys",
        "Whether the machines of jobs may have an API key of yours, with which they end their bids.",
        type="boolean",
        default=False,
    ),
    Setting(
        "market_lines",
        "Whether previews tell what the market asks.",
        type="boolean",
        default=True,
    ),
    Setting(
        "host",
        "Where the verbs of a Python program's resources run: `dynamic` (Pulumi's dynamic provider, inside the "
        "program's environment) or `plugin` (the provider plugin, as for programs in other languages). A resource "
        "whose provider is a `flow_resources.Provider` always runs in the plugin.",
        default=DYNAMIC,
        choices=HOSTS,
        of_program=True,
    ),
)
OF_PROVIDERS: tuple[Setting, ...] = tuple(one for one in SETTINGS if not one.of_program)
"""The settings that a provider resource takes."""
API_URL_PLACES = "flow:apiUrl (`api_url` of a provider) or MITHRIL_API_URL"
PROJECT_PLACES = "flow:project (`project` of a provider) or MITHRIL_PROJECT"
"""Where a person sets them, in the words of messages."""
_BY_SPELLING = {spelling: one for one in SETTINGS for spelling in (one.name, one.spelling, one.key)}


def setting_of(spelling: str) -> Setting | None:
    """Return the setting of a spelling: `api_key`, `apiKey` or `flow:apiKey`; None where there is none."""
    return _BY_SPELLING.get(spelling)
