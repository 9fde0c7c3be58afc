"""When to try a failed request again, and after how long. Pure: randomness and elapsed time are inputs.

Exponential backoff with full jitter, as AWS's own clients do it: the wait before attempt n+1 is a random part of
`base * 2^(n-1)`, at most `cap`. https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

from dataclasses import dataclass

from aioftps3.s3 import errors

RETRY_AFTER_EXTRA_SECONDS = 5.0
"""A store that asks for a longer wait than ours plus this is not obeyed to the letter: an FTP client is waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How hard to try."""

    attempts: int = 5
    """All attempts, the first included."""
    base_seconds: float = 0.05
    """First wait after a transient failure."""
    throttling_base_seconds: float = 1.0
    """First wait after S3 asked for fewer requests."""
    cap_seconds: float = 20.0
    """Longest wait."""
    deadline_seconds: float = 180.0
    """No attempt begins later than this after the first one began."""
    slow_deadline_seconds: float = 600.0
    """The same for operations that S3 may take minutes for."""

    def delay(
        self,
        error: errors.S3Error,
        *,
        attempt: int,
        elapsed: float,
        idempotent: bool,
        jitter: float,
        slow: bool = False,
    ) -> float | None:
        """Give the seconds to wait after attempt number `attempt` (from 1) failed; None: give up.

        `jitter` is random, from 0 to 1. `idempotent`: doing it twice is the same as doing it once. `slow`: S3 may take
        minutes for it.
        """
        if attempt >= self.attempts or not is_retriable(error, idempotent=idempotent):
            return None
        base = self.throttling_base_seconds if isinstance(error, errors.Throttled) else self.base_seconds
        longest = min(base * 2.0 ** min(attempt - 1, 60), self.cap_seconds)
        seconds = jitter * longest
        asked = error.retry_after if isinstance(error, errors.S3ResponseError) else None
        if asked is not None:
            seconds = min(max(seconds, asked), seconds + RETRY_AFTER_EXTRA_SECONDS)
        if elapsed + seconds > (self.slow_deadline_seconds if slow else self.deadline_seconds):
            return None
        return seconds


NO_RETRIES = RetryPolicy(attempts=1)


def is_retriable(error: errors.S3Error, *, idempotent: bool) -> bool:
    """Say whether the same request may succeed when it is sent again.

    What S3 has certainly not done may always be repeated; the rest only when repeating does no harm.
    """
    match error:
        case errors.S3TransportError():
            return idempotent or not error.may_have_acted
        case errors.Throttled() | errors.DigestMismatch():
            return True
        case errors.ServerFault() | errors.Conflict() | errors.S3ProtocolError():
            return idempotent
        case _:
            return False
