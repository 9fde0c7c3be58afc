"""Users, passwords, throttling of failed logins. Knows no FTP and no S3."""

from aioftps3.auth.passwords import BadHashError, PasswordHash, hash_password
from aioftps3.auth.throttle import FailureThrottle, ThrottledAuthenticator
from aioftps3.auth.users import Authenticator, EnvironmentUser, User

__all__ = (
    "Authenticator",
    "BadHashError",
    "EnvironmentUser",
    "FailureThrottle",
    "PasswordHash",
    "ThrottledAuthenticator",
    "User",
    "hash_password",
)
