"""The one layer of retries (the SDK's own retries are switched off).

=====================================  ==============================================================================
request                                retried after
=====================================  ==============================================================================
GET, DELETE, PATCH                     429, 5xx, a connection reset, a time-out, an unreadable answer
POST that creates a named thing        the same; after anything but a 429, what the lost request may have created is
                                       looked up first (see `creation`)
any other POST                         429 alone, which means that nothing happened
=====================================  ==============================================================================

Each pause is what the service asks for (`Retry-After`), plus a random time up to a bound that doubles with each retry,
so that many clients do not retry in step ("full jitter", https://aws.amazon.com/builders-library: timeouts, retries and
backoff with jitter).
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

from flow_resources.cloud.errors import HELD, SERVER_ERROR
from flow_resources.cloud.retry_budget import RetryBudget

T = TypeVar("T")

_FIRST, _CAP = 0.5, 10.0  # seconds: the bound of the first pause, and of all pauses


def call_with_retries(send: Callable[[], T], budget: RetryBudget, may_retry: Callable[[BaseException], bool]) -> T:
    """Send until there is an answer, an error that may not be retried, or no budget left.

    Raises the error of the last attempt.
    """
    began = budget.clock.now()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_retry),
        wait=_pause,
        stop=lambda state: not budget.may_retry(began, state.upcoming_sleep),
        sleep=budget.clock.sleep,
        before_sleep=lambda state: budget.report(
            f"{_describe(_error(state))}, retry {state.attempt_number} in {max(round(state.upcoming_sleep), 1)} s"
        ),
        reraise=True,
    )
    try:
        return retrying(send)
    finally:
        if retrying.statistics.get("attempt_number", 1) > 1:
            budget.spent += budget.clock.now() - began


def is_transient(error: BaseException) -> bool:
    """Whether a request that failed like this may be retried, provided that it may take effect twice."""
    return is_rate_limited(error) or is_outcome_unknown(error)


def is_rate_limited(error: BaseException) -> bool:
    """Whether the service turned the request away because of its load: nothing happened."""
    return isinstance(error, RateLimitError)


def is_outcome_unknown(error: BaseException) -> bool:
    """Whether a request that failed like this may have taken effect all the same."""
    if isinstance(error, (ApprovalPendingError, RateLimitError)):
        return False
    if isinstance(error, InvalidResponseError) and error.status_code == HELD:
        return False  # a proxy holds it for approval, and would hold a second one too
    if isinstance(error, (NetworkError, FlowTimeoutError, InvalidResponseError)):
        return True
    if isinstance(error, APIError):
        return error.status_code is not None and error.status_code >= SERVER_ERROR
    return not isinstance(error, FlowError) and isinstance(error, OSError)


def _pause(state: tenacity.RetryCallState) -> float:
    retry_after: float = getattr(_error(state), "retry_after", None) or 0.0
    return retry_after + tenacity.wait_random_exponential(multiplier=_FIRST, max=_CAP)(state)


def _error(state: tenacity.RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome else None


def _describe(error: Any) -> str:
    # The SDK keeps the status of a 504, or of a body that is not JSON, in the error's cause.
    response = getattr(error.__cause__, "response", None)
    status = getattr(response, "status_code", None) or getattr(error, "status_code", None)
    if isinstance(error, InvalidResponseError):
        return "the service's answer is unreadable"
    return f"the service answered {status}" if status else "no answer from the service"
