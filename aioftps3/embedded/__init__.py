"""An S3 server in the process, on loopback: a development aid for `aioftps3 demo` and for tests, not for production.

It verifies signatures with code of its own and keeps S3's rules. It imports nothing else of aioftps3.
"""

from aioftps3.embedded.answers import Answer, BodyStream
from aioftps3.embedded.errors import ConnectionCut, DirectoryDamaged, DirectoryInUse, EmbeddedError, Refusal
from aioftps3.embedded.server import EmbeddedS3, Intercept, Proceed, RecordedRequest
from aioftps3.embedded.service import Limits
from aioftps3.embedded.wire import Call

__all__ = (
    "Answer",
    "BodyStream",
    "Call",
    "ConnectionCut",
    "DirectoryDamaged",
    "DirectoryInUse",
    "EmbeddedError",
    "EmbeddedS3",
    "Intercept",
    "Limits",
    "Proceed",
    "RecordedRequest",
    "Refusal",
)
