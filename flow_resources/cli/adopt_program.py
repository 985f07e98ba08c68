"""The program that adopts what runs: drafts of live things in, the text of a program out, with what it cannot say.

It is written in Python, for either host of the verbs; in YAML, for the plugin; or as the commands that import the same
into the plugin, which are followed by a program that `pulumi` prints itself.

The text adopts and no more: its inputs are what the service says, so that the `up` finds nothing to change. What the
service does not say is either a comment, where any value will do for now, or something that a preview refuses, where a
guess would be taken for the truth. The entry of a kind in `kinds` writes its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from flow_resources.cli.kind import CommandKind, Draft
from flow_resources.cli.kinds import BY_NAME, KINDS
from flow_resources.cli.program_text import Group, Names, Text, cut, statement, yaml_lines, yaml_text
from flow_resources.core import naming
from flow_resources.core.inputs import check
from flow_resources.core.naming import plugin_type


class Form(Enum):
    """How the program is written."""

    PYTHON = "python"
    YAML = "yaml"
    IMPORT = "import"


@dataclass(frozen=True)
class LeftOut:
    """Something live that the program does not adopt, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True)
class AdoptedResource:
    """A resource of the program."""

    kind: str
    id: str
    name: str
    """In the service."""
    logical_name: str
    variable: str
    inputs: Mapping[str, Any]
    fill_in: tuple[str, ...] = ()
    """The paths of the inputs that the person has to write."""


@dataclass(frozen=True)
class Adoption:
    """The program, and what the person is told about it."""

    resources: tuple[AdoptedResource, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    form: Form = Form.PYTHON

    @property
    def program(self) -> str:
        """Return the text; empty where there is nothing to adopt."""
        if not self.resources:
            return ""
        if self.form is Form.IMPORT:
            return "".join(
                f"pulumi import {plugin_type(one.kind)} {one.logical_name} {one.id}\n" for one in self.resources
            )
        if self.form is Form.YAML:
            return "\n".join(["resources:", *self._yaml()]) + "\n"
        classes = {name for resource in self.resources for name in BY_NAME[resource.kind].classes(resource.inputs)}
        lines = [f"from flow_resources import {', '.join(sorted(classes))}", ""]
        for kind in _kinds(self.resources):
            lines += [*kind.heading, ""] if kind.heading else []
        variables = {resource.id: resource.variable for resource in self.resources}
        for resource in self.resources:
            if resource.name != resource.logical_name:
                lines.append(f'# In the service: "{cut(resource.name)}"')
            lines += [*statement(resource.variable, _call(resource, variables)), ""]
        return "\n".join(lines[:-1]) + "\n"

    def _yaml(self) -> Iterator[str]:
        """Yield the lines of the resources of a program in YAML."""
        variables = {resource.id: resource.variable for resource in self.resources}
        for kind in _kinds(self.resources):
            yield from (f"  {line}" for line in kind.heading)
        for resource in self.resources:
            if resource.name != resource.logical_name:
                yield f'  # In the service: "{cut(resource.name)}"'
            yield f"  {yaml_text(resource.variable)}:"
            yield f"    type: {plugin_type(resource.kind)}"
            if resource.logical_name != resource.variable:
                yield f"    name: {yaml_text(resource.logical_name)}"
            yield "    properties:"
            kind = BY_NAME[resource.kind]
            for name, value in resource.inputs.items():
                yield from yaml_lines(name, kind.in_yaml(value, variables), 6)
            yield from (f"      {line}" for line in kind.not_read_back_in_yaml)
            for path in resource.fill_in:
                yield f"      # FILL IN {path}. The service does not say it."


def adoption(
    drafts: Mapping[CommandKind[Any], Sequence[Draft]], left_out: Sequence[LeftOut] = (), form: Form = Form.PYTHON
) -> Adoption:
    """Order and name what is adopted, kind after kind and each oldest first; leave out what no program can declare."""
    names, resources, refused, notes = Names(), list[AdoptedResource](), list(left_out), list[str]()
    for kind in KINDS:
        for draft in sorted(drafts.get(kind, ()), key=lambda draft: (draft.thing.created_at, draft.thing.id)):
            thing = draft.thing
            if problem := _problem(kind, draft):
                refused.append(LeftOut(thing.id, thing.name, problem))
                continue
            logical_name, variable = names.give(naming.prefix_of(thing.name), kind.fallback_name)
            resources.append(
                AdoptedResource(
                    kind.resource.name, thing.id, thing.name, logical_name, variable, draft.inputs, draft.fill_in
                )
            )
            notes += draft.notes
    notes += [kind.note for kind in _kinds(resources) if kind.note]
    if form is Form.IMPORT:  # what cannot be read back is recorded as not known, and may be said later
        notes = []
    if resources and form is not Form.PYTHON:
        notes.append("it needs the provider plugin: `flow-resources plugin install`")
    notes += [
        f"{resource.id}: its name carries a mark of this package: see to it that no other stack has it"
        for resource in resources
        if naming.take_apart(resource.name)
    ]
    return Adoption(tuple(resources), tuple(refused), tuple(notes), form)


def _kinds(resources: Sequence[AdoptedResource]) -> list[CommandKind[Any]]:
    """Return the kinds that are among the resources."""
    names = {resource.kind for resource in resources}
    return [kind for kind in KINDS if kind.resource.name in names]


def _problem(kind: CommandKind[Any], draft: Draft) -> str:
    """Return why no program can declare it, or a check would refuse it; empty where one can.

    What the person has to fill in fails its check on purpose.
    """
    failures = check(kind.resource.fields, draft.inputs).failures
    return "; ".join(failure.text for failure in failures if failure.path not in draft.fill_in) or draft.problem


def _call(resource: AdoptedResource, variables: Mapping[str, str]) -> Group:
    arguments = BY_NAME[resource.kind].arguments(resource.inputs, resource.fill_in, variables)
    return Group(f"{resource.kind}(", [Text(resource.logical_name), *arguments], ")")
