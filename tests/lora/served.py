"""Servers of tests: real workers, and others that send whatever they are told."""

import contextlib
import socket
import ssl
import threading
import time

import uvicorn


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """An application on a free port, in a thread."""

    def __init__(self, app, **options):
        port = free_port()
        self.url = f"{'https' if options else 'http'}://127.0.0.1:{port}"
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", **options))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    @property
    def is_alive(self):
        return self._thread.is_alive()

    def stop(self):
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class RawServer:
    """Answers every connection with bytes, as they are, from a function of the request; keeps the requests.

    The function gets the head of a request (bytes) and yields what is sent; it may sleep between parts.
    """

    def __init__(self, respond, context=None):
        self._respond, self._context = respond, context
        self.requests = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(65536)
                if not part:
                    return
                request += part
            self.requests.append(request)
            for part in self._respond(request):
                connection.sendall(part)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def http(body, status="200 OK", **headers):
    """A response of a body, as the only part."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return ["\r\n".join([*lines, "Connection: close", "", ""]).encode() + body]
