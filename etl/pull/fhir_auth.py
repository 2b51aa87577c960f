"""SMART Backend Services: a signed assertion buys an access token (SMART App Launch 2.2, backend services).

The assertion is a JWT of RFC 7523 (`private_key_jwt`), signed RS384 with an RSA key or ES384 with one on curve P-384; its
`kid` is the key's thumbprint (RFC 7638), under which the public key is registered with the server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from authlib.oauth2.rfc7523 import private_key_jwt_sign
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from etl.pull.contract import PullError
from etl.pull.fhir_outcome import told
from settings import FhirSource

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 240
"""The guide allows five minutes at most."""
_SPARE_SECONDS = 30
_DEFAULT_LIFE_SECONDS = 300
_LOCAL = frozenset(("127.0.0.1", "::1", "localhost"))


def is_sealed(url: str) -> bool:
    """Whether what is sent there cannot be read on the way: https, or this machine itself."""
    address = httpx.URL(url)
    return address.scheme == "https" or address.host in _LOCAL


@dataclass(frozen=True)
class SigningKey:
    """The client's private key and how it signs."""

    key: RSAKey | ECKey
    algorithm: str

    @property
    def kid(self) -> str:
        """The name under which the public key is registered."""
        return str(self.key.thumbprint())


def signing_key(file: Path, source: str) -> SigningKey:
    """The private key in a PEM file.

    Raises:
        PullError: the file cannot be read, or its key is of no kind that SMART allows.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PullError(
            f"{source}: private_key_file {file} cannot be read ({error.strerror}). Name the PEM file of the private key."
        ) from error
    for kind, algorithm in ((RSAKey, "RS384"), (ECKey, "ES384")):
        try:
            key = kind.import_key(data)
        except (JoseError, ValueError, TypeError):
            continue
        if key.is_private and (kind is RSAKey or getattr(key, "curve_name", "") == "P-384"):
            return SigningKey(key, algorithm)
    raise PullError(
        f"{source}: private_key_file {file} holds no private key that SMART Backend Services use: an RSA key, or one on the "
        "curve P-384, in PEM without a password."
    )


class Tokens:
    """Buys access tokens and keeps the last one until shortly before it expires."""

    def __init__(self, source: FhirSource, token_url: str, key: SigningKey) -> None:
        self._source, self._token_url, self.key = source, token_url, key
        self._token = ""
        self._until = 0.0

    def forget(self) -> None:
        """Drops the token: the server refused it before its time."""
        self._token = ""

    def current(self, client: httpx.Client) -> str:
        """A token that is valid now.

        Raises:
            PullError: the token server cannot be reached or refuses.
        """
        if not self._token or time.monotonic() >= self._until:
            self._buy(client)
        return self._token

    def _buy(self, client: httpx.Client) -> None:
        if not is_sealed(self._token_url):
            raise PullError(
                f"{self._source.name}: token_url must be https: over http anyone on the way can read the token."
            )
        assertion = private_key_jwt_sign(
            self.key.key,
            self._source.client_id,
            self._token_url,
            alg=self.key.algorithm,
            header={"kid": self.key.kid, "typ": "JWT"},
            expires_in=_ASSERTION_SECONDS,
        )
        form = {
            "grant_type": "client_credentials",
            "scope": self._source.scopes,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        try:
            answer = client.post(self._token_url, data=form, headers={"Accept": "application/json"})
        except httpx.HTTPError as error:
            raise PullError(f"{self._source.name}: the token server cannot be reached: {told(error)}") from error
        self._keep(answer)

    def _keep(self, answer: httpx.Response) -> None:
        try:
            body = answer.json()
        except ValueError:
            body = {}
        body = body if isinstance(body, dict) else {}
        token, life = body.get("access_token"), body.get("expires_in")
        if answer.status_code != httpx.codes.OK or not isinstance(token, str) or not token:
            code = body.get("error")
            why = f" ({code})" if isinstance(code, str) and code.replace("_", "").isalpha() and len(code) < 40 else ""
            raise PullError(
                f"{self._source.name}: the token server answers {answer.status_code}{why}. Check client_id and scopes, that "
                f"the public key is registered under the key id {self.key.kid}, and that this machine's clock is right."
            )
        seconds = life if isinstance(life, (int, float)) and not isinstance(life, bool) else _DEFAULT_LIFE_SECONDS
        self._token = token
        self._until = time.monotonic() + max(float(seconds) - _SPARE_SECONDS, 0.0)
