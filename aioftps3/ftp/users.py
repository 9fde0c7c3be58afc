"""aioftp's users over `aioftps3.auth`: who may log in is decided there, what aioftp wants to know is shaped here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

import aioftp

from aioftps3.auth import users as accounts
from aioftps3.storage.tree import Tree

__all__ = ("GatewayUser", "UserManager")

LOGIN_PROMPT = "Password required."
"""The text for every USER: whether the login exists is not shown."""


class GatewayUser(aioftp.User):
    """An aioftp user with the tree that its files are in, and the address it logs in from.

    Before PASS has succeeded there is no tree.
    """

    def __init__(self, login: str) -> None:
        super().__init__(login=login, base_path="/", home_path="/")
        self.tree: Tree | None = None
        self.peer = ""
        """Address of the client, for throttling; set by the session."""


class UserManager(aioftp.AbstractUserManager):
    """Lets aioftp ask an `Authenticator`; the password never becomes part of a user object."""

    def __init__(self, authenticator: accounts.Authenticator, open_tree: Callable[[accounts.User], Tree]) -> None:
        super().__init__()
        self._authenticator = authenticator
        self._open_tree = open_tree

    async def get_user(self, login: str) -> tuple[aioftp.AbstractUserManager.GetUserResponse, aioftp.User | None, str]:
        """Ask for a password, whether the login exists or not."""
        return self.GetUserResponse.PASSWORD_REQUIRED, GatewayUser(login), LOGIN_PROMPT

    async def authenticate(self, user: aioftp.User, password: str) -> bool:
        """Whether the password is right; then the user has a tree. False for an unknown login and a wrong password."""
        if not isinstance(user, GatewayUser):
            return False
        account = await self._authenticator.authenticate(str(user.login), password, peer=user.peer)
        if account is None:
            return False
        user.home_path = PurePosixPath(account.home)
        user.tree = self._open_tree(account)
        return True
