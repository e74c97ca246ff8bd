"""The server of ``make run STORAGE=NAME``, and the environment variables that lead the demo to it.

What it stores is below ``data/NAME``, where the next run finds it again, beside Dagster's history of that storage.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tools.servers.azure import AzuriteServer
from tools.servers.postgres import PostgresServer
from tools.servers.process import ServerNotStartedError
from tools.servers.s3 import juicefs_server

DATA = Path("data")
NAME = "demo"
"""The database, the bucket or the container."""


class StorageError(Exception):
    """There is no such storage, or its server did not start."""


@contextmanager
def storage(name: str, data: Path = DATA) -> Iterator[Mapping[str, str]]:
    """A running storage, as the environment variables that the demo finds it by.

    Args:
        name: of the storage; "files" needs no server.
        data: the directory with a directory for each storage; the one of the working directory, as the demo's files.

    Raises:
        StorageError: there is none of this name, or its server did not start.
    """
    if name == "files":
        yield {}
        return
    if name not in SERVERS:
        known = ", ".join(["files", *SERVERS])
        raise StorageError(f"STORAGE={name} is no storage of the demo. Choose one of: {known}.")
    folder = (data / name).resolve()
    home = os.environ.get("DAGSTER_HOME") or str(folder / "dagster_home")
    try:
        with SERVERS[name](folder / "server") as settings:
            sys.stdout.write(f"Started the server of STORAGE={name}, which keeps its data in {folder}\n")
            sys.stdout.flush()
            yield {"DEMO_STORAGE": name, "DAGSTER_HOME": home, **settings}
    except ServerNotStartedError as error:
        raise StorageError(f"The server of STORAGE={name} did not start. {error}") from error


@contextmanager
def _postgres(directory: Path) -> Iterator[Mapping[str, str]]:
    with PostgresServer(directory) as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = $1", parameters=(NAME,)):
            server.new_database(NAME)
        yield {"DEMO_DB_URL": server.uri(NAME)}


@contextmanager
def _s3(directory: Path) -> Iterator[Mapping[str, str]]:
    with juicefs_server(directory) as server:
        client = server.client()
        if NAME not in [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]:
            server.new_bucket(NAME)
        client.close()
        yield {
            "DEMO_S3_ENDPOINT": server.endpoint,
            "DEMO_S3_ACCESS_KEY": server.access_key,
            "DEMO_S3_SECRET_KEY": server.secret_key,
            "DEMO_S3_REGION": server.region,
            "DEMO_S3_BUCKET": NAME,
        }


@contextmanager
def _azure(directory: Path) -> Iterator[Mapping[str, str]]:
    with AzuriteServer(directory) as server:
        with server.client() as client:
            if not client.get_container_client(NAME).exists():
                client.create_container(NAME)
        yield {
            "DEMO_AZURE_ENDPOINT": server.endpoint,
            "DEMO_AZURE_ACCOUNT": server.account,
            "DEMO_AZURE_KEY": server.key,
            "DEMO_AZURE_CONTAINER": NAME,
        }


SERVERS: Mapping[str, Callable[[Path], AbstractContextManager[Mapping[str, str]]]] = {
    "postgres": _postgres,
    "s3": _s3,
    "azure": _azure,
}
