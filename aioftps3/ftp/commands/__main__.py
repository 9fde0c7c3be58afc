"""Writes docs/commands.md: ``python -m aioftps3.ftp.commands > docs/commands.md``. A test compares the two."""

from __future__ import annotations

import sys

from aioftps3.ftp.commands import page

if __name__ == "__main__":
    sys.stdout.write(page())
