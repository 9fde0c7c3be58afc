"""`python -m aioftps3` is `aioftps3`."""

import sys

from aioftps3.cli import main

if __name__ == "__main__":
    sys.exit(main())
