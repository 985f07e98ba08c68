"""The account guard: nothing is judged or touched that the state records at another service, account or project.

Without it, everything would look deleted to the key of another account.
"""

from __future__ import annotations

from flow_resources.cloud import Cloud, Project
from flow_resources.core.config_keys import API_URL_PLACES, PROJECT_PLACES
from flow_resources.core.hidden import Record
from flow_resources.errors import AccountMismatchError


def guard_account(cloud: Cloud, record: Record) -> None:
    """Raise AccountMismatchError, naming both sides, where the settings point elsewhere than the state records."""
    _guard_service(cloud, record)
    _guard_project(cloud.project(), record)


def is_elsewhere(cloud: Cloud, record: Record) -> bool:
    """Whether a state records something at another service or project than the settings point at."""
    return _is_at_other_service(cloud, record) or _is_in_other_project(cloud.project(), record)


def guard_preview(cloud: Cloud, record: Record) -> None:
    """Do the same with what is known without a request: an `up` would make what is new at another place."""
    _guard_service(cloud, record)
    if cloud.known_project:
        _guard_project(cloud.known_project, record)


def require_account(record: Record, consequence: str) -> None:
    """Raise AccountMismatchError where the state does not say at which service and project a resource of ours is.

    What another account does not have is not gone.
    """
    missing = " and ".join(
        what for what, known in (("the service", record.service), ("the project", record.project)) if not known
    )
    if record.identity and missing:
        raise AccountMismatchError(
            f"{consequence}, but the state does not record {missing} that it is of",
            "with the settings of its account, `pulumi refresh` records it as long as it is live; "
            "`pulumi state delete` forgets it; nothing was touched",
        )


def _is_at_other_service(cloud: Cloud, record: Record) -> bool:
    return bool(record.service) and record.service != cloud.settings.api_url


def _is_in_other_project(project: Project, record: Record) -> bool:
    return bool(record.project) and record.project != project.id


def _guard_service(cloud: Cloud, record: Record) -> None:
    if _is_at_other_service(cloud, record):
        raise AccountMismatchError(
            f"the state records {record.service}, but the settings point at {cloud.settings.api_url}",
            f"set {API_URL_PLACES} to the recorded service, or, where that has a new address, use "
            "`flow-resources change-api-url URL`; nothing was touched",
        )


def _guard_project(project: Project, record: Record) -> None:
    if _is_in_other_project(project, record):
        raise AccountMismatchError(
            f"the state records project {record.project}, but the settings point at {project.name} ({project.id})",
            f"set {PROJECT_PLACES} to the recorded one, with a key of its account; nothing was touched",
        )
