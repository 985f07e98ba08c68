"""SshKey: a public key of the project, with which its owner logs in to machines."""

from __future__ import annotations

import inspect
from os import PathLike
from typing import Any

import pulumi

from flow_resources import program
from flow_resources.arguments import carried_properties, is_list
from flow_resources.core.ssh_key_fields import FIELDS
from flow_resources.key_files import key_text, name_text
from flow_resources.providers.ssh_key import SshKeyProvider

TYPE = "pulumi-python:dynamic/flow:SshKey"
"""The type of the class and of every subclass: it is part of the URN."""


class SshKey(pulumi.dynamic.Resource, module="flow", name="SshKey"):
    """A public SSH key of a Mithril project: `ssh_keys=[SshKey(...)]` of a cluster or job puts it on the machines.

    A key of the same content that the project has already is used as it is, whoever made it, and stays there when this
    resource is destroyed. A key that the stack made is deleted with it, once no live bid uses it.
    """

    key_name: pulumi.Output[str]
    """The name in the service; that of an existing key, where that is used."""
    project: pulumi.Output[str]
    """The id of the project that it is of."""
    public_key: pulumi.Output[str]
    """Its type and its content, without a comment."""
    fingerprint: pulumi.Output[str]
    """Of its content, as `ssh-keygen -l` prints it: "SHA256:..."."""
    created_at: pulumi.Output[str]
    """When the service got it (ISO 8601)."""

    @property
    def ssh_key_id(self) -> pulumi.Output[str]:
        """The service's id, `sshkey_...`. Known in a preview, too, where the key stays."""
        return program.id_as_output(self, "ssh_key_id")

    def __init__(
        self,
        name: str,
        *,
        public_key: pulumi.Input[str] | None = None,
        public_key_file: pulumi.Input[str | PathLike[str]] | None = None,
        key_name: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare an SSH key.

        Args:
            name: The resource's name in the program.
            public_key: The public key, one line in OpenSSH's format, such as "ssh-ed25519 AAAA... me@laptop". Its
                comment is left out. A private key is refused, and does not leave the program. Either this or
                `public_key_file`.
            public_key_file: The path of the file that holds it, relative to the program's folder, or from `~`: it
                must exist where `pulumi` runs.
            key_name: The name in the service, where the key is made. Default: made from `name`, unique.
            opts: Pulumi's resource options. Another public key makes the new one before the old one is deleted, except
                where `key_name` is fixed.

        """
        options = program.guarded_options("SshKey", name, opts or pulumi.ResourceOptions())
        arguments = {"public_key": key_text(public_key, public_key_file), "key_name": name_text(key_name)}
        props = carried_properties(f"SshKey {name!r}", FIELDS, arguments)
        if key_name is not None:
            options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(delete_before_replace=True), options)
        program.declare(self, TYPE, SshKeyProvider, name, props, OUTPUTS, options)

    @staticmethod
    def get(name: str, id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None) -> SshKey:  # noqa: A002 - Pulumi's word
        """Read a key that Pulumi does not own; `id` is the service's, `sshkey_...`."""
        key = SshKey.__new__(SshKey)
        options = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(id=id))
        program.declare(key, TYPE, SshKeyProvider, name, {}, OUTPUTS, options)
        return key


def key_ids(ssh_keys: Any) -> Any:
    """Return the argument `ssh_keys` with the id of each SshKey in its place; names and ids stay as they are.

    A private key, pasted by mistake, does not leave the program.
    """
    if isinstance(ssh_keys, pulumi.Output) or inspect.isawaitable(ssh_keys):
        return pulumi.Output.from_input(ssh_keys).apply(key_ids)
    if is_list(ssh_keys):
        return [key_ids(one) for one in ssh_keys]
    return ssh_keys.ssh_key_id if isinstance(ssh_keys, SshKey) else name_text(ssh_keys)


COMPUTED = ("ssh_key_id", "project", "fingerprint", "created_at")
"""The outputs that are no inputs."""
OUTPUTS = (*COMPUTED, "key_name", "public_key")
