"""``python -m local.health``: whether the service answers, for a monitor or a container's health check.

It ends with 0 when all is well and with 1 when not, and prints one line that says so. Without ``--loop`` it needs no key and asks no
storage: whether to restart the service. With it, it asks for the state of the default loop as well: whether somebody has to look.
"""

import argparse
import http.client
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent / ".local"
HEADER = "Ocp-Apim-Subscription-Key"


def main() -> int:
    """Ask, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m local.health", description="Ask the service on this machine how it is.")
    usual = f"http://127.0.0.1:{os.environ.get('PORT') or 7071}"
    parser.add_argument("--url", default=usual, help="where it is (default: %(default)s)")
    parser.add_argument(
        "--loop", action="store_true", help="ask for the state of the default loop, with the key of PERSONALIZER_KEYS or the one kept"
    )
    parser.add_argument("--timeout", type=float, default=8.0, metavar="SECONDS", help="how long to wait (default: %(default)g)")
    given = parser.parse_args()
    try:
        is_well, text = asked(given.url, key() if given.loop else "", timeout=given.timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        is_well, text = False, f"{given.url}: {error}"
    except (LookupError, TypeError):
        is_well, text = False, f"{given.url} answers, but is another program."
    print(text, flush=True)
    return 0 if is_well else 1


def asked(url: str, key: str, *, timeout: float) -> tuple[bool, str]:
    """Ask ``GET /status``, and say whether all is well and why; raises `OSError` when nobody answers."""
    request = urllib.request.Request(f"{url.rstrip('/')}/status", headers={HEADER: key} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            body = json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return False, f"{error.code} {error.read(500).decode(errors='replace')}"
    return body["apiStatus"] == "Valid", f"{body['apiStatus']}: {body['apiStatusMessage']}"


def key() -> str:
    """Give the key that the service has, from its setting or its file; raises `OSError` when there is neither."""
    given = [each.strip() for each in os.environ.get("PERSONALIZER_KEYS", "").split(",") if each.strip()]
    return given[0] if given else (Path(os.environ.get("PERSONALIZER_LOCAL_DIR") or HOME) / "keys").read_text().strip()


if __name__ == "__main__":
    sys.exit(main())
