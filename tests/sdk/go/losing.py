"""A gateway before the app that loses answers: what it passes on is done, and the client hears 503."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.patience import PATIENCE


@contextmanager
def losing(app_port: int, answers: int) -> Iterator[tuple[str, list[str]]]:
    """Lose so many answers of each path; gives the gateway's address, and the paths of what came by, as they come."""
    seen: list[str] = []

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            connection = HTTPConnection("127.0.0.1", app_port, timeout=PATIENCE)
            headers = {name: text for name, text in self.headers.items() if name.lower() not in ("host", "accept-encoding")}
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            seen.append(self.path)
            if seen.count(self.path) <= answers:
                self.send_response(503)
                self.send_header("Retry-After", "1")
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Content-Type", answer.headers["Content-Type"] or "")
                self.end_headers()
                self.wfile.write(text)
            connection.close()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
