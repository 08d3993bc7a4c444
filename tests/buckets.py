"""A real server that speaks S3 over HTTP, moto's, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from relume.storage.bucket import BucketAccess, BucketStore

KEY_ID, SECRET_KEY = "AKIDEXAMPLE", "s3cr3t-that-no-log-may-hold"
REGION = "us-east-1"


@dataclass
class Fault:
    """What happens to requests of one method in place of the truth."""

    method: str
    status: str
    body: bytes = b""
    times: int = 1_000_000
    carried_out: bool = False
    """Whether the request does its work all the same, and only its answer is lost."""


class _Quiet(WSGIRequestHandler):
    def log(self, *_args: Any) -> None: ...


class S3Server:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        """Method and path of each."""
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def new_bucket(self) -> Bucket:
        bucket = Bucket(self, f"photos-{uuid4().hex}")
        bucket.client.create_bucket(Bucket=bucket.name)
        return bucket

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        fault = next((fault for fault in self.faults if self._strikes(fault, environ)), None)
        if fault is None:
            return self._moto(environ, start)  # type: ignore[no-any-return]
        fault.times -= 1
        if fault.carried_out:
            list(self._moto(environ, lambda *_args: None))
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(fault.status, [("Content-Length", str(len(fault.body)))])
        return [fault.body]

    def _strikes(self, fault: Fault, environ: dict[str, Any]) -> bool:
        return fault.times > 0 and fault.method == environ["REQUEST_METHOD"]


@dataclass
class Bucket:
    """A bucket of the test's own."""

    server: S3Server
    name: str
    client: Any = field(init=False)

    def __post_init__(self) -> None:
        self.client = boto3.client(
            "s3",
            endpoint_url=self.server.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
        )

    def store(self, areas: dict[str, str], name: str | None = None) -> BucketStore:
        access = BucketAccess(REGION, self.server.url, KEY_ID, SECRET_KEY)
        return BucketStore(name or self.name, areas, access)

    def settings(self, **more: Any) -> dict[str, Any]:
        """What an operator sets to use it."""
        return {
            "storage_dir": f"s3://{self.name}/relume",
            "s3_endpoint_url": self.server.url,
            "aws_access_key_id": KEY_ID,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region": REGION,
        } | more

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server: S3Server) -> Iterator[Bucket]:
    bucket = s3_server.new_bucket()
    yield bucket
    s3_server.faults.clear()
    s3_server.requests.clear()
    bucket.client.close()
