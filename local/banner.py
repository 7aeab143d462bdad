"""What ``python -m local`` prints once the service answers."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from local.demo_loop import NAME
from local.listening import Place
from local.tls import STORE_PASSWORD, Certificate

RANK = {
    "contextFeatures": [{"timeOfDay": "morning", "weather": "sunny"}],
    "actions": [
        {"id": "pasta", "features": [{"taste": "savoury", "temperature": "hot"}]},
        {"id": "ice-cream", "features": [{"taste": "sweet", "temperature": "cold"}]},
    ],
}

TEXT = """
Open Personalizer is running. Ctrl-C stops it; the data and the keys stay for the next start.
{note}{exposed}{trust}{demo}
  Dashboard  {endpoint}/dashboard#key={key_in_address}
  Endpoint   {endpoint}
  Key        {key}
  Admin key  {admin_key}
  Storage    {storage}

Rank, from another terminal:

  curl -s {cacert}{endpoint}/personalizer/v1.0/rank -H {key_header} -H 'Content-Type: application/json' -d {rank}

Reward, with the eventId of that answer:

  curl -i {cacert}{endpoint}/personalizer/v1.0/events/EVENT_ID/reward -H {key_header} \\
       -H 'Content-Type: application/json' -d '{{"value": 1}}'

The official SDK (pip install azure-cognitiveservices-personalizer):

  from azure.cognitiveservices.personalizer import PersonalizerClient
  from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
  from msrest.authentication import CognitiveServicesCredentials

  client = PersonalizerClient({endpoint!r}, CognitiveServicesCredentials({key!r}))
  actions = [RankableAction(id="pasta", features=[{{"taste": "savoury"}}]), RankableAction(id="ice-cream", features=[{{"taste": "sweet"}}])]
  answer = client.rank(RankRequest(actions=actions, context_features=[{{"timeOfDay": "morning"}}]))
  client.events.reward(answer.event_id, value=1.0)

More loops, each with keys of its own, which are shown once. The SDK's endpoint is then {endpoint}/loops/news:

  curl -s -X PUT {cacert}{endpoint}/loops/news -H {admin_header} -H 'Content-Type: application/json' -d '{{"tier": "S0"}}'
  curl -s {cacert}{endpoint}/loops -H {admin_header}

A decision is learned when its reward wait time is over: ten minutes, as in Azure, or the loop's own time.

  curl -X POST {cacert}{endpoint}/admin/functions/train      # runs the trainer now

The app's log follows, one JSON object a line.
"""


DEMO = """
Watch it learn, in a browser:

  {endpoint}/demo#key={demo_key}&loop={loop}
"""


TRUST = """
It uses HTTPS, with a certificate for localhost that only this machine has. Before you start a client, make it trust the certificate:

  Java     export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore={java} -Djavax.net.ssl.trustStorePassword={password}"
  Node     export NODE_EXTRA_CA_CERTS={authority}
  Python   export REQUESTS_CA_BUNDLE={authority} SSL_CERT_FILE={authority}
  .NET     export SSL_CERT_FILE={authority}
           (Windows: certutil -user -addstore Root FILE; macOS: security add-trusted-cert -k ~/Library/Keychains/login.keychain-db FILE)
  Go       export SSL_CERT_FILE={authority}
"""


EXPOSED = """
Other machines reach it at {addresses}, over plain HTTP. Anyone in between can read the keys. docs/server.md says how to add TLS.
Without a key they can only see whether it runs (GET /status), the description of the API and the empty pages of the dashboard and the demo.
"""


def banner(places: Sequence[Place], storage: str, *, key: str, admin_key: str, demo_key: str | None, note: str = "") -> str:
    """Fill in the addresses, the keys and a note; without a key for the demo it is not mentioned, nor trust without a certificate.

    What follows the ``#`` is read by the page and never leaves the browser.
    """
    endpoint, authority = places[0].from_here.url, places[0].trust
    exposed = [place.url for place in places if not place.is_loopback]
    return TEXT.format(
        endpoint=endpoint,
        note=note,
        trust="" if authority is None else _trusting(authority),
        cacert="" if authority is None else f"--cacert {shlex.quote(str(authority))} ",
        exposed=EXPOSED.format(addresses=" and ".join(exposed)) if exposed else "",
        key=key,
        key_in_address=quote(key, safe=""),
        admin_key=admin_key,
        storage=storage,
        key_header=shlex.quote(f"Ocp-Apim-Subscription-Key: {key}"),
        admin_header=shlex.quote(f"Ocp-Apim-Subscription-Key: {admin_key}"),
        rank=shlex.quote(json.dumps(RANK)),
        demo="" if demo_key is None else DEMO.format(endpoint=endpoint, demo_key=demo_key, loop=NAME),
    )


def _trusting(authority: Path) -> str:
    """Say how clients are told to trust the authority behind HTTPS."""
    return TRUST.format(java=Certificate(authority.parent).java, password=STORE_PASSWORD, authority=shlex.quote(str(authority)))
