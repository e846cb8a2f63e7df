"""A web server on this machine that misbehaves as told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Server(ThreadingHTTPServer):
    """Answers request after request as `script` says, and properly once that is used up."""

    def __init__(self, content: bytes, script: list[Callable[["Handler"], None]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.script = content, script
        self.ranges: list[str | None] = []  # the Range header of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data"


class Handler(BaseHTTPRequestHandler):
    server: Server  # type: ignore[assignment]

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers["Range"])
        answer = self.server.script.pop(0) if self.server.script else proper
        with suppress(ConnectionError):  # the client may have had enough
            answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's names
        """Say nothing."""

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    @property
    def start(self) -> int:
        asked = self.headers["Range"]
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0


def proper(handler: Handler) -> None:
    """Serve the file, or the rest of it where asked to."""
    content, start = handler.server.content, handler.start
    if not handler.headers["Range"]:
        handler.send(200, content)
    elif start >= len(content):
        handler.send(416, b"", Content_Range=f"bytes */{len(content)}")
    else:
        handler.send(206, content[start:], Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")


def cut(count: int) -> Callable[[Handler], None]:
    """Promise the rest of the file, send `count` bytes of it, and hang up."""

    def answer(handler: Handler) -> None:
        content, start = handler.server.content, handler.start
        rest = {"Content_Length": str(len(content) - start)}
        if start:
            rest["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send(206 if start else 200, content[start : start + count], **rest)

    return answer


def fixed(status: int, body: bytes = b"", **headers: str) -> Callable[[Handler], None]:
    """Answer with this, whatever was asked."""
    return lambda handler: handler.send(status, body, **headers)


@contextmanager
def serving(content: bytes, *script: Callable[[Handler], None]) -> Iterator[Server]:
    """Serve `content` while the block runs."""
    with Server(content, list(script)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
