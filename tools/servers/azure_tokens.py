"""A stand-in for Microsoft's login: it hands a token to one service principal, and Azurite takes the token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import ssl
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

from tools.servers.process import LOOPBACK

LIFETIME = 3600


class Certificate:
    """A certificate for 127.0.0.1 that is its own authority, and its key, in files of `directory`."""

    def __init__(self, directory: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self.certificate = directory / "certificate.pem"
        self.key = directory / "certificate-key.pem"
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(private, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.certificate.write_bytes(made.public_bytes(pem))
        self.key.touch(0o600)
        self.key.write_bytes(
            private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )


class TokenEndpoint:
    """Answers the client-credentials request of one service principal, in threads of this process.

    Args:
        certificate: For the https address.

    Attributes:
        authority_host: What to log in at, by https, as azure-identity demands.
        plain_authority_host: The same by http.
        tokens_given: How many tokens were handed out.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.tenant_id = str(uuid.uuid4())
        self.client_id = str(uuid.uuid4())
        self.client_secret = secrets.token_urlsafe(24)
        self.tokens_given = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        self._plain = _TokenServer(self, "http")
        self._secure = _TokenServer(self, "https")
        # The handshake is the handler's, so that a client which never speaks holds up nobody else.
        self._secure.socket = context.wrap_socket(
            self._secure.socket, server_side=True, do_handshake_on_connect=False
        )
        self.authority_host = self._secure.address
        self.plain_authority_host = self._plain.address

    def __enter__(self) -> Self:
        for server in (self._plain, self._secure):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._plain, self._secure):
            server.shutdown()
            server.server_close()

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, object]]:
        """Status and body of the answer to a request for a token."""
        if path.split("/")[1:2] != [self.tenant_id]:
            return 400, _refusal("invalid_request", "AADSTS90002: Tenant not found.")
        if form.get("client_id") != [self.client_id]:
            return 400, _refusal(
                "unauthorized_client", "AADSTS700016: Application not found in the directory."
            )
        if form.get("client_secret") != [self.client_secret]:
            return 401, _refusal("invalid_client", "AADSTS7000215: Invalid client secret provided.")
        self.tokens_given += 1
        return 200, {
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "ext_expires_in": LIFETIME,
            "access_token": self._token(),
        }

    def _token(self) -> str:
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": now - 60,
            "nbf": now - 60,
            "exp": now + LIFETIME,
            "tid": self.tenant_id,
            "appid": self.client_id,
            "oid": self.client_id,
            "sub": self.client_id,
            "ver": "1.0",
        }
        signed = f"{_encoded(json.dumps({'alg': 'HS256', 'typ': 'JWT'}))}.{_encoded(json.dumps(claims))}"
        signature = hmac.new(self.client_secret.encode(), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{_encoded(signature)}"


class _TokenServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, endpoint: TokenEndpoint, scheme: str) -> None:
        super().__init__((LOOPBACK, 0), _TokenRequest)
        self.endpoint = endpoint
        self.address = f"{scheme}://{LOOPBACK}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that leaves, such as one that does not trust the certificate."""


class _TokenRequest(BaseHTTPRequestHandler):
    server: _TokenServer
    timeout = 10

    def do_GET(self) -> None:
        """Where the tenant's addresses are."""
        tenant = self.path.split("/")[1]
        base = f"{self.server.address}/{tenant}"
        if tenant != self.server.endpoint.tenant_id or "openid-configuration" not in self.path:
            self._send(400, _refusal("invalid_tenant", "AADSTS90002: Tenant not found."))
            return
        login = f"{base}/oauth2/v2.0"
        self._send(
            200,
            {
                "token_endpoint": f"{login}/token",
                "authorization_endpoint": f"{login}/authorize",
                "issuer": f"{base}/v2.0",
            },
        )

    def do_POST(self) -> None:
        """A token for who knows the secret."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._send(*self.server.endpoint.answer(self.path, parse_qs(body.decode("utf-8", "replace"))))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _send(self, status: int, answer: dict[str, object]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _refusal(error: str, description: str) -> dict[str, object]:
    return {
        "error": error,
        "error_description": description,
        "error_codes": [int(description[6:].split(":")[0])],
    }


def _encoded(part: str | bytes) -> str:
    data = part.encode() if isinstance(part, str) else part
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
