import hashlib
from typing import Any

import pytest

from aioftps3.auth import BadHashError, EnvironmentUser, User, hash_password
from aioftps3.auth.users import Authenticator

PEER = "192.0.2.1"


def forms(password: str) -> list[str]:
    return [password, str(hash_password(password))]


@pytest.mark.parametrize("stored", forms("secret"), ids=["clear", "hashed"])
async def test_only_the_right_login_with_the_right_password_is_the_user(stored: str) -> None:
    """D17."""
    authenticator: Authenticator = EnvironmentUser("joe", stored)
    assert await authenticator.authenticate("joe", "secret", peer=PEER) == User("joe", home="/", prefix="")
    for login, password in [("joe", "Secret"), ("Joe", "secret"), ("", ""), ("joe", ""), ("joe", stored + "x")]:
        assert await authenticator.authenticate(login, password, peer=PEER) is None


async def test_a_hash_is_not_a_password() -> None:
    hashed = str(hash_password("secret"))
    assert await EnvironmentUser("joe", hashed).authenticate("joe", hashed, peer=PEER) is None


async def test_an_unknown_login_costs_the_same_work_as_a_wrong_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """D17: otherwise it can be found out by the time that the answer takes."""
    calls: list[Any] = []
    scrypt = hashlib.scrypt

    def counted(*arguments: Any, **options: Any) -> bytes:
        calls.append(options["n"])
        return scrypt(*arguments, **options)

    authenticator = EnvironmentUser("joe", str(hash_password("secret")))
    monkeypatch.setattr(hashlib, "scrypt", counted)
    await authenticator.authenticate("nobody", "wrong", peer=PEER)
    unknown = calls.copy()
    calls.clear()
    await authenticator.authenticate("joe", "wrong", peer=PEER)
    assert calls == unknown == [16384]


async def test_names_and_passwords_that_are_not_utf8_are_compared_as_bytes() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert await EnvironmentUser("joe", "café").authenticate("joe", odd, peer=PEER) is None
    assert await EnvironmentUser("joe", "café").authenticate(odd, "café", peer=PEER) is None


def test_a_broken_hash_is_refused_at_once() -> None:
    with pytest.raises(BadHashError):
        EnvironmentUser("joe", "scrypt$broken")


def test_the_repr_shows_no_password() -> None:
    assert repr(EnvironmentUser("joe", "secret")) == "EnvironmentUser('joe')"
