"""Line ends of text: CRLF on the wire, LF in the store (RFC 959 section 3.1.1.1, TYPE A). Pure.

Both directions take a stream in pieces, cut anywhere. What is no line end stays as it is, so that converting twice to
the wire is converting once; but text that has CRLF in the store comes back with LF.
"""

from __future__ import annotations

__all__ = ("FromWire", "ToWire")


class ToWire:
    """LF becomes CRLF; a CRLF stays one."""

    def __init__(self) -> None:
        self._after_cr = False

    def convert(self, piece: bytes) -> bytes:
        """The next piece, at most twice as long."""
        if not piece:
            return b""
        first = b""
        if self._after_cr and piece.startswith(b"\n"):
            first, piece = b"\n", piece[1:]
        self._after_cr = piece.endswith(b"\r")
        return first + piece.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class FromWire:
    """CRLF becomes LF; a CR or an LF alone stays as it is."""

    def __init__(self) -> None:
        self._held = b""

    def convert(self, piece: bytes) -> bytes:
        """The next piece; a CR at its end waits for what follows."""
        whole = self._held + piece
        self._held = b"\r" if whole.endswith(b"\r") else b""
        return whole[: len(whole) - len(self._held)].replace(b"\r\n", b"\n")

    def rest(self) -> bytes:
        """What is left at the end of the stream."""
        rest, self._held = self._held, b""
        return rest
