"""What a client did on the wire, as the daemon has logged it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.integration.clients.client import Cost
from tests.support.daemon import Daemon
from tests.support.polling import wait_until

__all__ = ("Traffic", "TrafficMeter")

_LINE = re.compile(r"^\S+ \w+ \[(?P<session>[^\]]*)\] aioftps3\.ftp\S*: (?P<message>.*)$")
_CONNECTED = re.compile(r"connected to the \w+-TLS port")
_COMMAND = re.compile(r"> (?P<verb>[A-Z]+) ?(?P<argument>.*)")
_REPLY = re.compile(r"< (?P<code>\d{3}) (?P<text>.*)")
_DATA_TLS = re.compile(r"data connection with a (?P<kind>\w+) TLS session")


@dataclass(slots=True)
class Traffic:
    """The connections, commands and replies of a stretch of the log."""

    control: int = 0
    closed: int = 0
    commands: list[tuple[str, str]] = field(default_factory=list)
    """Verb and argument."""
    replies: list[tuple[int, str]] = field(default_factory=list)
    data_tls: list[str] = field(default_factory=list)
    """For each encrypted data connection, `resumed` or `new`."""

    @classmethod
    def of(cls, log: str) -> Traffic:
        """Read a stretch of the log."""
        traffic = cls()
        for message in _messages(log):
            if _CONNECTED.fullmatch(message):
                traffic.control += 1
            elif message == "disconnected":
                traffic.closed += 1
            elif message.startswith("TLS handshake "):
                traffic.control += 1
                traffic.closed += 1
            elif match := _COMMAND.fullmatch(message):
                traffic.commands.append((match["verb"], match["argument"]))
            elif match := _REPLY.fullmatch(message):
                traffic.replies.append((int(match["code"]), match["text"]))
            elif match := _DATA_TLS.fullmatch(message):
                traffic.data_tls.append(match["kind"])
        return traffic

    def count(self, *verbs: str) -> int:
        """How often any of these commands was sent."""
        return sum(verb in verbs for verb, _ in self.commands)

    @property
    def cost(self) -> Cost:
        """What of this is limited."""
        return Cost(
            control=self.control,
            data=sum(code == 150 for code, _ in self.replies),
            refused=sum(code >= 400 for code, _ in self.replies),
            broken=sum(400 <= code < 500 for code, _ in self.replies),
            commands=len(self.commands),
        )

    def check(self, limit: Cost) -> None:
        """Fail when it took more than the limit: then the client had to try something twice, unseen."""
        cost = self.cost
        within = (
            cost.control <= limit.control
            and cost.data <= limit.data
            and cost.refused <= limit.refused
            and cost.broken <= limit.broken
            and cost.commands <= limit.commands
        )
        assert within, f"it took {cost}, the limit is {limit}:\n{self}"

    def __str__(self) -> str:
        commands = "\n".join(f"  > {verb} {argument}" for verb, argument in self.commands)
        refused = "\n".join(f"  < {code} {text}" for code, text in self.replies if code >= 400)
        return f"{commands}\n{refused}"


class TrafficMeter:
    """From its making on, what the clients of a daemon do."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._start = daemon.log_size

    def now(self) -> Traffic:
        """What has been logged so far."""
        return Traffic.of(self._daemon.log(self._start))

    def end(self) -> Traffic:
        """The whole, once every session is over."""

        def over() -> bool:
            traffic = self.now()
            return traffic.closed >= traffic.control

        wait_until(over, "the end of the client's sessions in the daemon's log")
        return self.now()


def _messages(log: str) -> Iterator[str]:
    for line in log.splitlines():
        if match := _LINE.match(line):
            yield match["message"]
