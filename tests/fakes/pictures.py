"""A web server of its own thread that gives pictures away."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def pictures(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves files by their paths; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, files))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, files: Mapping[str, bytes], *rest: object) -> None:
        self._files = files
        super().__init__(*rest)  # type: ignore[arg-type] - what the server hands on

    def do_GET(self) -> None:
        content = self._files.get(self.path)
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
