"""Asking again: the one layer of retries (the SDK's own is switched off).

=====================================  ==============================================================================
request                                sent again after
=====================================  ==============================================================================
GET, DELETE, PATCH                     429, 5xx, a reset, a time-out, an answer that cannot be read
POST that makes a bid or a volume      the same; but for a 429, what the lost one made is looked for first
any other POST                         429 alone, which says that nothing happened
=====================================  ==============================================================================

Between two tries passes what the service asks for (`Retry-After`) and then, so that a crowd does not come back in
step, anything up to a bound that doubles each time ("full jitter", https://aws.amazon.com/builders-library:
timeouts, retries and backoff with jitter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import tenacity
from flow.errors import (
    APIError,
    ApprovalPendingError,
    FlowError,
    FlowTimeoutError,
    InvalidResponseError,
    NetworkError,
    RateLimitError,
)

from flow_resources.cloud.errors import SERVER_ERROR
from flow_resources.cloud.retry_budget import RetryBudget

T = TypeVar("T")

_FIRST, _CAP = 0.5, 10.0  # seconds: the bound of the first pause, and of all


def call_with_retries(send: Callable[[], T], patience: RetryBudget, may_repeat: Callable[[BaseException], bool]) -> T:
    """Send until there is an answer, until what went wrong is no reason to repeat, or until patience ends.

    Raises the last try's own error.
    """
    began = patience.clock.now()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_repeat),
        wait=_pause,
        stop=lambda state: not patience.lasts(began, state.upcoming_sleep),
        sleep=patience.clock.sleep,
        before_sleep=lambda state: patience.say(
            f"{_what(_error(state))}, retry {state.attempt_number} in {max(round(state.upcoming_sleep), 1)} s"
        ),
        reraise=True,
    )
    try:
        return retrying(send)
    finally:
        if retrying.statistics.get("attempt_number", 1) > 1:
            patience.spent += patience.clock.now() - began


def is_transient(error: BaseException) -> bool:
    """Whether a request that ended like this may be sent again, if it does no harm that it had its effect."""
    return is_rate_limited(error) or is_outcome_unknown(error)


def is_rate_limited(error: BaseException) -> bool:
    """Whether the service had no time for the request: nothing happened."""
    return isinstance(error, RateLimitError)


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether a request that ended like this may have had its effect all the same."""
    if isinstance(error, (ApprovalPendingError, RateLimitError)):
        return False
    if isinstance(error, (NetworkError, FlowTimeoutError, InvalidResponseError)):
        return True
    if isinstance(error, APIError):
        return error.status_code is not None and error.status_code >= SERVER_ERROR
    return not isinstance(error, FlowError) and isinstance(error, OSError)


def _pause(state: tenacity.RetryCallState) -> float:
    asked: float = getattr(_error(state), "retry_after", None) or 0.0
    return asked + tenacity.wait_random_exponential(multiplier=_FIRST, max=_CAP)(state)


def _error(state: tenacity.RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome else None


def _what(error: Any) -> str:
    # A 504 and a body that is no JSON have the status in their cause or beside it, whatever the SDK calls them.
    response = getattr(error.__cause__, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(error, InvalidResponseError):
        return "the service's answer is unreadable"
    return f"the service answered {status}" if status else "no answer from the service"
