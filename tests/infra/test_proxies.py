"""nginx and Caddy before the service, with the files that a server is given, driven by the official SDK; skipped where there is none."""

import contextlib
import http.client
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from azure.cognitiveservices.personalizer import PersonalizerClient
from azure.cognitiveservices.personalizer.models import RankableAction, RankRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msrest.authentication import ApiKeyCredentials

from local.listening import listening, place_of
from local.processes import free_port
from tests.http.building import KEY, rank_body
from tests.infra.test_server import CADDY, NGINX, SOCKET
from tests.patience import PATIENCE
from tests.running import Answer, RunningApp

pytestmark = pytest.mark.slow

NAME = "personalizer.example.com"
ADMIN_KEY = "the-administrators-key"
OURS = SOCKET["ListenStream"]


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "fullchain.pem", folder / "privkey.pem"


def nginx(folder: Path, port: int, app: int) -> list[str]:
    """Put the site into the smallest nginx there is; the site is as it was, but for its name, addresses and certificate."""
    site = NGINX.replace(NAME, "localhost").replace("/etc/letsencrypt/live/localhost/", f"{folder}/").replace(OURS, f"127.0.0.1:{app}")
    site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;").replace("listen [::]:443 ssl;", f"listen [::1]:{port} ssl;")
    places = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    who = "user root;\n" if os.geteuid() == 0 else ""
    whole = (
        f"{who}daemon off;\npid {folder}/pid;\nerror_log {folder}/errors;\nevents {{}}\nhttp {{\n    access_log off;\n{places}{site}}}\n"
    )
    (folder / "nginx.conf").write_text(whole)
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/errors", "-c", f"{folder}/nginx.conf"]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=PATIENCE)
    return command


def caddy(folder: Path, port: int, app: int) -> list[str]:
    """Run Caddy with the file as it is, but for its name, addresses and certificate; it asks no authority for one."""
    own = f"\tbind 127.0.0.1\n\ttls {folder}/fullchain.pem {folder}/privkey.pem\n"
    text = CADDY.replace(f"{NAME} {{\n", f"https://localhost:{port} {{\n{own}").replace(OURS, f"127.0.0.1:{app}")
    (folder / "Caddyfile").write_text(text.replace("{\n\t# A client", "{\n\tadmin off\n\t# A client", 1))
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    subprocess.run(command, check=True, timeout=PATIENCE, env=of_caddy(folder), capture_output=True)
    return ["caddy", "run", *command[2:]]


def of_caddy(folder: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}


COMMANDS: dict[str, Callable[[Path, int, int], list[str]]] = {"nginx": nginx, "caddy": caddy}


class Proxied(NamedTuple):
    """A service behind a proxy."""

    app: RunningApp
    port: int
    trusted: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @contextlib.contextmanager
    def sdk(self) -> Iterator[Any]:
        credentials: Any = ApiKeyCredentials(in_headers={KEY: self.app.key})
        client: Any = PersonalizerClient(self.url, credentials)
        client.config.connection.verify = str(self.trusted)
        with client as connected:
            yield connected

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        context = ssl.create_default_context(cafile=str(self.trusted))
        with contextlib.closing(http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE, context=context)) as connection:
            connection.request(method, path, body, {KEY: self.app.key, "Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


@pytest.fixture(scope="module", params=list(COMMANDS))
def proxied(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    if shutil.which(request.param, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip(f"there is no {request.param} on this machine")
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    trusted, _ = certificate(folder)
    settings = {"PERSONALIZER_STORE": str(folder / "store"), "AzureWebJobsStorage": "", "PERSONALIZER_ADMIN_KEY": ADMIN_KEY}
    with listening(["127.0.0.1"], 0) as (listener,):
        app = RunningApp("unused", settings=settings)
        app.command = [word for word in app.command if word not in ("--port", str(app.port))] + [f"--socket={listener.fileno()}"]
        app.port, app.handed = place_of(listener).port, (listener.fileno(),)
        with app, (folder / "log").open("wb") as log:
            environment = {**of_caddy(folder), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
            command = COMMANDS[request.param](folder, port, app.port)
            proxy = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
            try:
                found = Proxied(app, port, trusted)
                until = time.monotonic() + PATIENCE
                while not answers(found):
                    assert proxy.poll() is None, (folder / "log").read_text()
                    assert time.monotonic() < until, (folder / "log").read_text()
                    time.sleep(0.1)
                yield found
            finally:
                proxy.terminate()
                proxy.wait(PATIENCE)


def answers(proxied: Proxied) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return proxied.request("GET", "/status").status == 200
    return False


def asked(event_id: str) -> RankRequest:
    actions = [RankableAction(id=name, features=[{"topic": name}]) for name in ("news", "sports")]
    return RankRequest(actions=actions, context_features=[{"time": "morning"}], event_id=event_id)


def test_the_official_sdk_ranks_and_rewards(proxied):
    event_id = "an event/with \N{SNOWMAN}"
    with proxied.sdk() as sdk:
        assert sdk.rank(asked(event_id)).event_id == event_id
        sdk.events.reward(event_id, value=1.0)
    assert proxied.app.request("GET", "/status").json["loop"]["counters"]["rewards"] >= 1


def test_an_event_id_arrives_as_it_was_sent(proxied):
    for name in ("a%2Fb", "a%252Fb", "caf%C3%A9", "a%20b", "a+b", "a;b=c", "a%3Fb", "a%23b"):
        path = f"/personalizer/v1.0/events/{name}/reward"
        assert proxied.request("POST", path, b'{"value": 7}').body == proxied.app.request("POST", path, {"value": 7}).body
        assert proxied.request("POST", path, b'{"value": 1}').status == 204


def test_an_address_in_an_answer_is_the_one_that_the_caller_can_use(proxied):
    made = proxied.request("PUT", "/loops/news", b"{}", **{KEY: ADMIN_KEY})
    assert json.loads(made.body)["endpoint"] == f"{proxied.url}/loops/news"


def test_the_widest_body_is_read_and_a_wider_one_is_refused_by_the_service_itself(proxied):
    body = json.dumps(rank_body(eventId=uuid.uuid4().hex)).encode()
    widest = body[:-1] + b" " * (1024 * 1024 - len(body)) + b"}"
    assert proxied.request("POST", "/personalizer/v1.0/rank", widest).status == 201
    refused = proxied.request("POST", "/personalizer/v1.0/rank", widest + b" ")
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (413, "PayloadSizeExceeded")
    model = proxied.request("PUT", "/personalizer/v1.1-preview.3/model", b"x" * (20 * 1024 * 1024))
    assert model.status == 400


def test_a_model_comes_through_whole(proxied):
    path = "/personalizer/v1.1-preview.3/model?signed=true"
    model = proxied.request("GET", path)
    assert model.status == 200
    assert len(model.body) == len(proxied.app.request("GET", path).body) > 1000


@pytest.mark.parametrize(
    "path", ["/admin/functions/train", "/Admin/functions/train", "/%61dmin/functions/train", "/./admin/functions/train"]
)
def test_the_hosts_own_operations_are_not_for_others(proxied, path):
    assert proxied.request("POST", f"{path}/functions/train", b"{}").status in (401, 404)


def test_a_restart_behind_the_proxy_fails_no_call(proxied):
    done, failures, acknowledged = threading.Event(), list[str](), list[str]()

    def call(pause: float) -> None:
        with proxied.sdk() as sdk:
            while not done.wait(pause):
                event_id = uuid.uuid4().hex
                try:
                    sdk.rank(asked(event_id))
                    acknowledged.append(event_id)
                except Exception as failure:  # noqa: BLE001  # whatever it is, the application would have seen it
                    failures.append(repr(failure))

    before = proxied.app.request("GET", "/status").json["loop"]["counters"]["ranked"]
    callers = [threading.Thread(target=call, args=(pause,)) for pause in (0.0, 0.03, 0.3, 1.2)]
    for each in callers:
        each.start()
    try:
        for _ in range(2):
            time.sleep(1.0)
            assert proxied.app.stop() == 0
            proxied.app.start()
        time.sleep(1.0)
    finally:
        done.set()
        for each in callers:
            each.join(60)
    assert failures == []
    assert len(acknowledged) >= len(callers)
    assert proxied.app.request("GET", "/status").json["loop"]["counters"]["ranked"] == before + len(acknowledged)
