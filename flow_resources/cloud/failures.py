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
    AccountError,
    FlowResourcesError,
    HeldError,
    NotFoundError,
    RefusedError,
    SettingsError,
    UnheardError,
)

NOT_FOUND, TOO_MANY, SERVER_ERROR, CLIENT_ERROR = 404, 429, 500, 400


@contextlib.contextmanager
def asking(settings: Settings, what: str) -> Iterator[None]:
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
    for one in chain:
        if isinstance(one, FlowResourcesError):
            return one
    detail = _detail(chain, settings)
    status = next((s for s in (getattr(one, "status_code", None) for one in chain) if isinstance(s, int)), None)

    def is_any(*kinds: type[BaseException]) -> bool:
        return any(isinstance(one, kinds) for one in chain)

    if is_any(sdk.ApprovalPendingError):
        return HeldError(f"could not {what}: held for the account owner's approval", "approve it, then run `pulumi up` again")
    if is_any(sdk.AuthorizationError):
        return AccountError(f"could not {what}: {settings.api_url} says the key may not do that ({detail})",
                            "use a key that has access to this project")  # fmt: skip
    if is_any(sdk.AuthenticationError):
        return SettingsError(f"could not {what}: {settings.api_url} refused the API key", f"put a valid one in {KEY_PLACES}")
    if status == NOT_FOUND or is_any(sdk.ResourceNotFoundError):
        return NotFoundError(f"could not {what}: {detail}")
    if is_any(sdk.RateLimitError, sdk.FlowTimeoutError, sdk.NetworkError, sdk.InvalidResponseError) or (
        status is not None and (status == TOO_MANY or status >= SERVER_ERROR)
    ):
        said = f"answered {status}" if status else "gave no readable answer"
        return UnheardError(f"could not {what}: {settings.api_url} {said} ({detail})", "run the same command again")
    if is_any(sdk.FlowError) or status is not None:
        return RefusedError(f"could not {what}: {detail}")
    if is_any(OSError):
        return FlowResourcesError(f"could not {what}: {detail}", "the Flow SDK keeps files in FLOW_DIR (~/.flow): it must be writable")
    return FlowResourcesError(f"could not {what}: {type(error).__name__}: {detail}")


def _detail(chain: list[BaseException], settings: Settings) -> str:
    """Return the service's own words where it said some, else the SDK's; never a key, never a page."""
    words = next((said for one in chain if (said := _said(getattr(one, "response_body", None)))), None)
    text = words or getattr(chain[0], "message", None) or str(chain[0]) or type(chain[0]).__name__
    return " ".join(str(text).split()).replace(settings.api_key, "…")[:256]


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
