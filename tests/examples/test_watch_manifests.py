"""examples/09-watch: manifests that a cluster takes, an image recipe without a lint, a command line that ends rightly.

The CronJob and the accounts are held against Kubernetes' own schemas, strictly. The operator's are in no package: a
list of the fields that are used stands here. It was taken from `deploy/crds/pulumi.com_stacks.yaml` of
pulumi/pulumi-kubernetes-operator v2.9.0, which accepted the manifest with every unknown field refused.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from flow_resources.cli import watch

EXAMPLE = Path(__file__).parents[2] / "examples" / "09-watch"
DOCKERFILE = EXAMPLE / "Dockerfile"
VERSIONS = ("1.29", "1.33", "1.37")
"""Of Kubernetes: from one that is at its end to the newest that the schemas know."""
NOT_INSTALLED = "not installed: pip install 'flow-resources[manifests]'"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLE / name).read_text()))


(CRONJOB,) = documents("cronjob.yaml")
*ACCOUNTS, STACK = documents("operator-stack.yaml")
JOB: dict[str, Any] = CRONJOB["spec"]["jobTemplate"]["spec"]
POD: dict[str, Any] = JOB["template"]["spec"]
(WATCH,) = POD["containers"]
COMMAND: list[str] = [*WATCH["command"], *WATCH["args"]]


def fields(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has these fields, all of them or some, and no other."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


TEXT, NUMBER, SWITCH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
SECRET = fields(name=TEXT, key=TEXT) | {"required": ["name", "key"]}
VARIABLE = fields(type={"enum": ["Secret"]}, secret=SECRET) | {"required": ["type", "secret"]}
QUANTITIES = fields(cpu=TEXT, memory=TEXT)
CONTAINER = fields(name=TEXT) | {"required": ["name"]}
POD_TEMPLATE = fields(
    spec=fields(terminationGracePeriodSeconds=NUMBER, containers={"type": "array", "items": CONTAINER})
    | {"required": ["containers"]}
)
WORKSPACE = fields(
    image=TEXT,
    securityProfile={"enum": ["baseline", "restricted"]},
    resources=fields(requests=QUANTITIES, limits=QUANTITIES),
    podTemplate=POD_TEMPLATE,
)
STACK_SPEC = fields(
    serviceAccountName=TEXT,
    stack=TEXT,
    useLocalStackOnly=SWITCH,
    projectRepo=TEXT,
    branch=TEXT,
    shallow=SWITCH,
    backend=TEXT,
    refresh=SWITCH,
    continueResyncOnCommitMatch=SWITCH,
    resyncFrequencySeconds=NUMBER,
    retryMaxBackoffDurationSeconds=NUMBER,
    destroyOnFinalize=SWITCH,
    envRefs={"type": "object", "additionalProperties": VARIABLE},
    workspaceTemplate=fields(spec=WORKSPACE),
) | {"required": ["stack"]}
OPERATOR = fields(
    apiVersion={"const": "pulumi.com/v1"},
    kind={"const": "Stack"},
    metadata=fields(name=TEXT, namespace=TEXT),
    spec=STACK_SPEC,
)


def strictly(manifest: Mapping[str, Any], version: str) -> None:
    """Validate a manifest of a kind of Kubernetes' own; an unknown field is an error."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason=NOT_INSTALLED)
    kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", [CRONJOB, *ACCOUNTS], ids=lambda one: one["kind"])
def test_kubernetes_knows_every_field(manifest: dict[str, Any], version: str) -> None:
    """And its type."""
    strictly(manifest, version)


@pytest.mark.parametrize(("where", "key"), [(CRONJOB["spec"], "concurencyPolicy"), (JOB, "backOffLimit")])
def test_a_field_that_is_not_there_is_refused(where: dict[str, Any], key: str) -> None:
    """The check above can fail: at the top and four levels down."""
    where[key] = 1
    try:
        with pytest.raises(Exception, match=key):
            strictly(CRONJOB, VERSIONS[-1])
    finally:
        del where[key]


def test_the_operator_knows_every_field() -> None:
    """Every field of the manifest is in the list, and a field that is misspelt or a number as text is refused."""
    check = jsonschema.Draft202012Validator(OPERATOR)
    assert not [error.message for error in check.iter_errors(STACK)]
    wrong = copy.deepcopy(STACK)
    wrong["spec"] |= {"refrsh": True, "resyncFrequencySeconds": "300"}
    del wrong["spec"]["workspaceTemplate"]["spec"]["podTemplate"]["spec"]["containers"]
    assert {(error.validator, error.path[-1]) for error in check.iter_errors(wrong)} == {
        ("additionalProperties", "spec"),
        ("type", "resyncFrequencySeconds"),
        ("required", "spec"),
    }


def test_the_pod_of_the_operators_workspace_is_one_for_kubernetes_too() -> None:
    """What the operator merges into its own pod."""
    template = STACK["spec"]["workspaceTemplate"]["spec"]["podTemplate"]
    strictly({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}, VERSIONS[-1])


def test_the_cronjob_runs_one_round_at_a_time_and_lets_it_end() -> None:
    """No second round beside the first, no retry that repeats a failure at once, time for an operation to end."""
    assert CRONJOB["spec"]["concurrencyPolicy"] == "Forbid"
    assert CRONJOB["spec"]["startingDeadlineSeconds"] >= 10  # the controller looks every ten seconds
    assert (JOB["backoffLimit"], POD["restartPolicy"]) == (0, "Never")
    half_an_hour = 1800  # the limit of each create, update and delete; a replacement is two of them
    assert JOB["activeDeadlineSeconds"] > 3 * half_an_hour
    assert POD["terminationGracePeriodSeconds"] == 600


def test_the_cronjob_may_do_nothing_but_its_work() -> None:
    """Not root, nothing to write to but what is emptied after it, no account of the cluster."""
    pod, container = POD["securityContext"], WATCH["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == pod["fsGroup"] == int(user_of_image())
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert all("emptyDir" in volume for volume in POD["volumes"])
    mounted = {mount["mountPath"] for mount in WATCH["volumeMounts"]}
    assert mounted == {"/tmp", next(one["value"] for one in WATCH["env"] if one["name"] == "HOME")}
    assert {mount["name"] for mount in WATCH["volumeMounts"]} == {volume["name"] for volume in POD["volumes"]}


def test_the_operator_sees_preemptions_again_and_again() -> None:
    """And neither makes an empty stack nor ends the clusters when the object is deleted."""
    spec = STACK["spec"]
    assert spec["refresh"] is spec["continueResyncOnCommitMatch"] is spec["useLocalStackOnly"] is True
    assert spec["destroyOnFinalize"] is False
    assert spec["resyncFrequencySeconds"] >= 60
    assert 'wait_for="placed"' in (EXAMPLE / "__main__.py").read_text()
    assert spec["serviceAccountName"] == ACCOUNTS[0]["metadata"]["name"] == ACCOUNTS[1]["subjects"][0]["name"]


def test_keys_are_in_secrets_alone() -> None:
    """Nothing that is called key, token or passphrase has a value in a manifest or in the image."""
    words = ("KEY", "TOKEN", "PASSPHRASE", "PASSWORD")
    assert not [one for one in WATCH["env"] if any(word in one["name"] for word in words)]
    assert WATCH["envFrom"] == [{"secretRef": {"name": "flow-watch"}}]
    assert all(one["type"] == "Secret" for one in STACK["spec"]["envRefs"].values())
    assert not any(word in line for line in instructions("ENV", "ARG") for word in words)


# The image


def instructions(*names: str) -> list[str]:
    """Return the arguments of these instructions of the recipe, in order, continued lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines()]
    return [rest.strip() for name, _, rest in lines if name in names]


def user_of_image() -> str:
    """Return the user that the image runs as."""
    return instructions("USER")[-1].partition(":")[0]


def test_the_recipe_has_no_lint() -> None:
    """Of hadolint, at any level; what is ignored has its reason beside it."""
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not hadolint:
        pytest.skip(f"hadolint is {NOT_INSTALLED}")
    done = subprocess.run([hadolint, "--failure-threshold", "style", str(DOCKERFILE)], check=False, capture_output=True)
    assert (done.returncode, done.stdout.decode()) == (0, "")


def test_the_image_runs_as_a_user_by_number() -> None:
    """A name would be refused by runAsNonRoot; it is the last one, so that what follows is the user's."""
    assert int(user_of_image()) > 0
    text = DOCKERFILE.read_text()
    assert text.index("\nUSER ") < text.index("-m venv /opt/venv")


def test_the_image_does_what_the_cronjob_does() -> None:
    """The same command line: `docker run` tries what the cluster will run."""
    assert json.loads(instructions("CMD")[-1]) == COMMAND


def test_only_the_project_goes_into_the_image() -> None:
    """Of a folder with a key, a checkout and an environment in it; what the program needs is there."""
    rules = [line for line in (EXAMPLE / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    kept = [rule[1:] for rule in rules[1:]]
    assert all(rule.startswith("!") for rule in rules[1:])
    names = {"id_ed25519", ".env", ".git", ".venv", "fake.env", "cronjob.yaml", "operator-stack.yaml", "Dockerfile"}
    assert not [name for name in names if any(fnmatch(name, pattern) for pattern in kept)]
    needed = ("__main__.py", "Pulumi.yaml", "Pulumi.prod.yaml", "requirements.txt")
    assert all(any(fnmatch(name, pattern) for pattern in kept) for name in needed)


def test_the_tag_of_the_manifests_is_one() -> None:
    """Both use the image that one recipe makes; `latest` would let a round run another one than the round before."""
    image = STACK["spec"]["workspaceTemplate"]["spec"]["image"]
    assert image == WATCH["image"]
    assert image.rpartition(":")[2] not in ("", "latest")


def test_the_watcher_knows_what_it_is_told() -> None:
    """Its own parser takes the arguments: one stack, one round, heals, lines of JSON."""
    command, name, *arguments = COMMAND[COMMAND.index("--") + 1 :]
    assert (command, name) == ("flow-resources", "watch")
    parser = argparse.ArgumentParser()
    watch.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    assert (parsed.stacks, parsed.once, parsed.heal, parsed.json) == ([STACK["spec"]["stack"]], True, True, True)
    assert parsed.apply_all is False


# The command line of the container, with a stand-in for the command


@pytest.fixture
def container(tmp_path: Path) -> Any:
    """Return what starts the container's command line; the stand-in says that it is there, and waits or ends."""
    if not shutil.which("tini"):
        pytest.skip("no tini on PATH: apt-get install tini")

    def start(script: str) -> subprocess.Popen[str]:
        stand_in = tmp_path / "flow-resources"
        stand_in.write_text(f"#!{sys.executable}\nimport signal, sys, time\n{script}")
        stand_in.chmod(0o755)
        path = f"{tmp_path}:/usr/bin:/bin"
        return subprocess.Popen(
            [shutil.which("tini"), "-s", *COMMAND[1:]], env={"PATH": path}, stdout=subprocess.PIPE, text=True
        )

    assert COMMAND[0] == "tini"
    return start


@pytest.mark.parametrize(("code", "seen"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_a_round_that_only_waits_is_no_failure(container: Any, code: int, seen: int) -> None:
    """3 says that a cluster waits and no policy acts; what could not be looked at, or was not set up, is a failure."""
    process = container(f"print(sys.argv[1:])\nsys.exit({code})\n")
    printed, _ = process.communicate(timeout=60)
    assert printed.strip() == str(COMMAND[COMMAND.index("flow-resources") + 1 :])
    assert process.returncode == seen


def test_the_end_of_the_pod_reaches_the_watcher(container: Any) -> None:
    """SIGTERM is passed on, and what the watcher then ends with is what the container ends with."""
    process = container(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if print('told') is None else 1))\n"
        "print('ready', flush=True)\ntime.sleep(600)\n"
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert (printed, process.returncode) == ("told\n", 0)
