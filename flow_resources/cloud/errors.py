"""Translation of whatever the SDK raises into the errors of this package, in one place.

The SDK is not consistent (a missing bid is an APIError with status 404 in one facet and a TaskNotFoundError in another,
a refused key has no status at all), so the whole chain of causes is inspected.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from flow_resources.cloud.sdk_settings import REINSTALL
from flow_resources.cloud.settings import KEY_PLACES
from flow_resources.core.config_keys import API_URL_PLACES
from flow_resources.errors import (
    AccountMismatchError,
    ApprovalPendingError,
    ConfigError,
    FlowResourcesError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from flow_resources.redaction import Redactor

_APPROVE = "approve it, then run `pulumi up` again"
_RETRY = "run the same command again"
_FIX_URL = f"if nothing ever answers there, look at {API_URL_PLACES}"
_OTHER_KEY = "use a key that has access to this project"
_KEY_FILE = "correct or move away keys/metadata.json in FLOW_DIR (~/.flow): without it the Flow SDK makes a new key"
_FILES = "the Flow SDK keeps files in FLOW_DIR (~/.flow), which must be writable"
HELD, NOT_FOUND, TOO_MANY, SERVER_ERROR, CLIENT_ERROR = 202, 404, 429, 500, 400


@contextlib.contextmanager
def translating_errors(action: str, api_url: str, redactor: Redactor) -> Iterator[None]:
    """Raise one error that names the action for anything that the SDK raises within."""
    try:
        yield
    except FlowResourcesError:
        raise
    except Exception as error:
        raise translate(error, action, api_url, redactor) from error


def translate(error: Exception, action: str, api_url: str, redactor: Redactor) -> FlowResourcesError:
    """Return the error of this package for an error of the SDK."""
    from flow import errors as sdk
    from flow.utils.ssh_key_identity import SSHKeyIdentityError

    chain = _chain(error)
    own_error = next((cause for cause in chain if isinstance(cause, FlowResourcesError)), None)
    if own_error:
        return own_error
    status = next((code for cause in chain if isinstance(code := getattr(cause, "status_code", None), int)), 0)
    detail = _detail(chain, redactor)

    def has_cause(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in chain)

    file_error = next((cause for cause in chain if isinstance(cause, OSError) and cause.filename), None)
    unavailable = status == TOO_MANY or status >= SERVER_ERROR
    unavailable = unavailable or has_cause(
        sdk.RateLimitError, sdk.FlowTimeoutError, sdk.NetworkError, sdk.InvalidResponseError
    )
    answer = f"answered {status}" if status >= CLIENT_ERROR else "gave no readable answer"
    # The first row that holds; the order matters, since the SDK's classes overlap.
    meanings: list[tuple[bool, type[FlowResourcesError], str, str]] = [
        (has_cause(sdk.ApprovalPendingError), ApprovalPendingError, "held for the account owner's approval", _APPROVE),
        (
            has_cause(sdk.AuthorizationError),
            AccountMismatchError,
            f"{api_url} says the key may not do that ({detail})",
            _OTHER_KEY,
        ),
        (
            has_cause(sdk.AuthenticationError),
            ConfigError,
            f"{api_url} refused the API key",
            f"put a valid one in {KEY_PLACES}",
        ),
        (has_cause(SSHKeyIdentityError), ConfigError, detail, _KEY_FILE),
        (  # the SDK calls it a network error
            file_error is not None and not status,
            ConfigError,
            f"{file_error and file_error.filename}: {file_error and file_error.strerror}",
            _FILES,
        ),
        (has_cause(ImportError), ConfigError, detail, REINSTALL),
        (status == NOT_FOUND or has_cause(sdk.ResourceNotFoundError), NotFoundError, detail, ""),
        (
            unavailable,
            UnavailableError,
            f"{api_url} {answer} ({detail})",
            _RETRY if status else f"{_RETRY}; {_FIX_URL}",
        ),
        (status > 0 or has_cause(sdk.FlowError), RejectedError, detail, ""),
        (has_cause(OSError), FlowResourcesError, detail, _FILES),
    ]
    for holds, kind, message, remedy in meanings:
        if holds:
            return kind(f"could not {action}: {message}", remedy, status)
    return FlowResourcesError(f"could not {action}: {type(error).__name__}: {detail}")


def _detail(chain: list[BaseException], redactor: Redactor) -> str:
    """Return the service's own words where there are any, else the SDK's; no secret, and at most 256 characters."""
    words = next((words for cause in chain if (words := _words_of(getattr(cause, "response_body", None)))), None)
    text = words or getattr(chain[0], "message", None) or str(chain[0]) or type(chain[0]).__name__
    return " ".join(redactor.redact(str(text)).split())[:256]


def _words_of(body: object) -> str | None:
    """Read the service's error envelope: {"detail": "..."} or a list of places and messages."""
    try:
        detail = json.loads(str(body)).get("detail")
    except (ValueError, AttributeError):
        return None
    if isinstance(detail, list):
        parts = (part for part in detail if isinstance(part, dict))
        return "; ".join(f"{'.'.join(map(str, part.get('loc', ())))}: {part.get('msg')}" for part in parts)
    return str(detail) if detail else None


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return chain
