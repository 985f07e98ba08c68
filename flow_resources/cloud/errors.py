"""From whatever the SDK raises to the errors of this package, in one place.

The SDK is not of one mind (a missing bid is an APIError with status 404 in one facet and a TaskNotFoundError in
another, a refused key has no status at all), so the whole chain of causes is asked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from flow_resources.cloud.settings import KEY_PLACES, Settings
from flow_resources.errors import (
    AccountMismatchError,
    ApprovalPendingError,
    ConfigError,
    FlowResourcesError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from flow_resources.redaction import redact

_APPROVE = "approve it, then run `pulumi up` again"
_AGAIN = "run the same command again"
_MEND_URL = "if nothing ever answers there, look at flow:apiUrl and MITHRIL_API_URL"
_OTHER_KEY = "use a key that has access to this project"
_FILES = "the Flow SDK keeps files in FLOW_DIR (~/.flow), which must be writable"
NOT_FOUND, TOO_MANY, SERVER_ERROR, CLIENT_ERROR = 404, 429, 500, 400


@contextlib.contextmanager
def translating_errors(settings: Settings, what: str) -> Iterator[None]:
    """Raise, for anything the SDK raises inside, one error that says what was asked."""
    try:
        yield
    except FlowResourcesError:
        raise
    except Exception as error:
        raise translate(error, settings, what) from error


def translate(error: Exception, settings: Settings, what: str) -> FlowResourcesError:
    """Return the error of this package that says the same."""
    from flow import errors as sdk

    chain = _chain(error)
    ours = next((one for one in chain if isinstance(one, FlowResourcesError)), None)
    if ours:
        return ours
    status = next((code for one in chain if isinstance(code := getattr(one, "status_code", None), int)), 0)
    url, detail = settings.api_url, _detail(chain)

    def raised(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    unheard = status == TOO_MANY or status >= SERVER_ERROR
    unheard = unheard or raised(sdk.RateLimitError, sdk.FlowTimeoutError, sdk.NetworkError, sdk.InvalidResponseError)
    said = f"answered {status}" if status >= CLIENT_ERROR else "gave no readable answer"
    failed = f"could not {what}"
    # The first row that holds; the order matters, since the SDK's classes overlap.
    meanings: list[tuple[bool, type[FlowResourcesError], str, str]] = [
        (raised(sdk.ApprovalPendingError), ApprovalPendingError, "held for the account owner's approval", _APPROVE),
        (
            raised(sdk.AuthorizationError),
            AccountMismatchError,
            f"{url} says the key may not do that ({detail})",
            _OTHER_KEY,
        ),
        (
            raised(sdk.AuthenticationError),
            ConfigError,
            f"{url} refused the API key",
            f"put a valid one in {KEY_PLACES}",
        ),
        (status == NOT_FOUND or raised(sdk.ResourceNotFoundError), NotFoundError, detail, ""),
        (unheard, UnavailableError, f"{url} {said} ({detail})", _AGAIN if status else f"{_AGAIN}; {_MEND_URL}"),
        (status > 0 or raised(sdk.FlowError), RejectedError, detail, ""),
        (raised(OSError), FlowResourcesError, detail, _FILES),
    ]
    for holds, kind, message, remedy in meanings:
        if holds:
            return kind(f"{failed}: {message}", remedy, status)
    return FlowResourcesError(f"{failed}: {type(error).__name__}: {detail}")


def _detail(chain: list[BaseException]) -> str:
    """Return the service's own words where it said some, else the SDK's; never a secret, never a page."""
    words = next((said for one in chain if (said := _said(getattr(one, "response_body", None)))), None)
    text = words or getattr(chain[0], "message", None) or str(chain[0]) or type(chain[0]).__name__
    return " ".join(redact(str(text)).split())[:256]


def _said(body: object) -> str | None:
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
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__ or step.__context__
    return chain
