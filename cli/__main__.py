"""``python -m cli COMMAND``."""

import sys

try:
    from cli.main import main
except ModuleNotFoundError as missing:
    print(f"This cannot be done: {missing.name} is not installed; `make setup` installs all that the command line needs.", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main())
