"""A place in a bucket of S3 in which rows wait on their way into a warehouse or out of it."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from aligned_dagster.errors import ConfigurationError, SourceError, SourceNotFoundError, UnreadableSourceError
from aligned_dagster.sources import publishing
from aligned_dagster.sources.environment import from_environment
from aligned_dagster.sources.sql.redshift_dialect import REDSHIFT
from aligned_dagster.sources.sql.sql_errors import RowsAsideError

if TYPE_CHECKING:
    from pathlib import Path

    from aligned_dagster.sources.s3_location import S3Location
    from aligned_dagster.sources.s3_store import S3Store

_OURS = "aligned_staging/"
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=")
_LIFECYCLE = (
    "Check that nothing else, such as a lifecycle rule, removes or changes objects there; then try again."
)


@dataclass(frozen=True)
class StagingBucket:
    """A place in a bucket, of which environment variables are read when rows are moved.

    Args:
        location: the directory.
        iam_role_env: the variable with the role by which the warehouse reaches it; it is given the keys if there is
            none.
        large_rows: from how many rows on a table or query goes this way.
    """

    location: S3Location
    iam_role_env: str | None
    large_rows: int

    def new_place(self) -> str:
        """A directory that nobody uses, with a slash at its end; what killed processes left a day ago is removed."""
        self._remove_stale()
        return f"{self._ours}{uuid.uuid4().hex}/"

    def uri(self, key: str) -> str:
        """The address of an object or of all that start so.

        Raises:
            ConfigurationError: it cannot stand in a statement.
        """
        address = f"{self._store.uri}/{key}"
        if not set(address.removeprefix("s3://")) <= _PLAIN:
            raise ConfigurationError(
                f"{address!r}, where rows for Redshift wait, must have no other signs than letters, digits and - _ . / =. "
                f"Check {self.location.config.bucket_env or 'its bucket and its path'}."
            )
        return address

    def credentials_sql(self) -> str:
        """How a statement reaches the bucket. It may hold secrets: keep it out of logs and errors.

        Raises:
            ConfigurationError: a variable is not set, or there are no credentials.
        """
        if self.iam_role_env is not None:
            role = from_environment(self.iam_role_env, "the role of RedshiftSQLConfig").strip()
            return f"IAM_ROLE {REDSHIFT.literal(role)}"
        keys = [
            (word, from_environment(name, f"{what} of AwsS3Config").strip())
            for word, what, name in zip(_WORDS, _WHAT, self._key_names, strict=True)
            if name is not None
        ]
        if not keys:
            raise ConfigurationError(
                f"Redshift needs a role or keys of its own to reach {self.location.uri}: "
                "RedshiftSQLConfig(..., iam_role_env='REDSHIFT_ROLE'), or access_token_env and secret_token_env of "
                "AwsS3Config."
            )
        return " ".join(f"{word} {REDSHIFT.literal(key)}" for word, key in keys)

    @property
    def advice(self) -> str:
        """What to check where the warehouse cannot reach the bucket."""
        names = [name for name in self._key_names if name is not None]
        who = (
            f"the role in {self.iam_role_env}" if self.iam_role_env else f"the keys in {' and '.join(names)}"
        )
        return f"Check the bucket, its region, and that {who} may list, read, write and remove objects there."

    def scrubbed(self, text: str) -> str:
        """A text without the keys."""
        values = {os.environ.get(name, "").strip() for name in self._key_names if name is not None}
        for secret in sorted(values, key=len, reverse=True):
            text = text.replace(secret, "***") if secret else text
        return text

    def put(self, key: str, file: Path) -> None:
        """Store a local file."""
        with self._explained("written"):
            self._store.put(key, file)

    def frames(self, place: str) -> Iterator[pl.DataFrame]:
        """The rows of each Parquet file that an UNLOAD has listed in the manifest of a directory.

        Raises:
            SourceError: a file is not there, or not what was unloaded.
        """
        store = self._store
        listed = json.loads(self._content(store, f"{place}manifest"))
        for entry in listed["entries"]:
            key = entry["url"].removeprefix(f"{store.uri}/")
            body, told = self._content(store, key), entry.get("meta", {})
            try:
                frame = pl.read_parquet(io.BytesIO(body), hive_partitioning=False)
            except pl.exceptions.PolarsError:
                frame = None
            if (
                frame is None
                or told.get("content_length", len(body)) != len(body)
                or told.get("record_count", frame.height) != frame.height
            ):
                raise RowsAsideError(
                    f"{store.uri}/{key}, which holds rows that Redshift has unloaded, is damaged: it has {len(body)} "
                    f"bytes, and {told.get('content_length', 'other')} were written. {_LIFECYCLE}",
                    UnreadableSourceError,
                )
            yield frame

    def remove(self, place: str) -> None:
        """Remove a directory, as far as that is allowed: what stays there does no harm."""
        with suppress(SourceError):
            store = self._store
            store.delete([one.key for one in store.list(place)])

    @property
    def _store(self) -> S3Store:
        return self.location.store()

    @property
    def _ours(self) -> str:
        return f"{self.location.key}/{_OURS}" if self.location.key else _OURS

    @property
    def _key_names(self) -> tuple[str | None, ...]:
        settings = self.location.config
        return settings.access_token_env, settings.secret_token_env, settings.session_token_env

    def _remove_stale(self) -> None:
        old = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=publishing.STALE_AFTER)
        with suppress(SourceError):
            store = self._store
            store.delete([one.key for one in store.list(self._ours) if one.modified < old])

    def _content(self, store: S3Store, key: str) -> bytes:
        with self._explained("read"):
            try:
                return store.get(key)[0]
            except FileNotFoundError:
                pass
        raise RowsAsideError(
            f"{store.uri}/{key}, which holds rows that Redshift has unloaded, is not there any more. {_LIFECYCLE}",
            SourceNotFoundError,
        )

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Say of an error of the bucket which rows it is about."""
        try:
            yield
        except ConfigurationError:
            raise
        except SourceError as error:
            raise RowsAsideError(
                f"rows on their way by {self.location.uri} cannot be {what}. {error}", type(error)
            ) from None


_WORDS = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
_WHAT = ("the access key", "the secret key", "the session token")
