"""What the clients of the clouds log of their requests at DEBUG, without the secrets that are part of them."""

from __future__ import annotations

import logging
import re

_LOGGERS = (
    "botocore.auth",
    "botocore.endpoint",
    "botocore.parsers",
    "botocore.utils",
    "urllib3.connectionpool",
)
_SECRETS = re.compile(
    r"""(
        x-amz-security-token['"]?\s*[:=]\s*b?['"]?  # of temporary keys, in a header or an address
        | [?&\s'"]sig=                              # of an address that is signed by a SAS token
        | <(?:SecretAccessKey|SessionToken)>        # of an answer with temporary keys
        | "(?:SecretAccessKey|SessionToken|Token)"\s*:\s*"
    )[^'"\s&<,]+""",
    re.IGNORECASE | re.VERBOSE,
)


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, its secrets replaced."""
        told = record.getMessage()
        clean = _SECRETS.sub(r"\1***", told)
        if clean != told:
            record.msg, record.args = clean, ()
        return True


_FILTER = _WithoutSecrets()


def keep_secrets_out_of_logs() -> None:
    """Let boto3's and Azure's client log their requests without secrets; again without effect.

    >>> keep_secrets_out_of_logs()
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
