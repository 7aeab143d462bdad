"""``python -m cli COMMAND``; each command's exit codes are in its help, and 2 always means that it could not be done."""

import argparse
import asyncio
import os
import sys

from cli import replay
from shared.domain.errors import PersonalizerError


def main() -> int:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m cli", description="Look after a learning loop from the command line.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    replay.add_to(commands)
    arguments = parser.parse_args()
    try:
        code: int = asyncio.run(arguments.run(arguments, os.environ))
    except PersonalizerError as error:
        print(f"This cannot be done: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 2
    return code


if __name__ == "__main__":
    sys.exit(main())
