"""An OpenID Connect provider that supports the authorization code flow with PKCE."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.support.http_server import run_http_server

CLIENT, SECRET = "portal", "of-the-client"


@dataclass
class OIDCProvider:
    """OpenID Connect provider that accepts every sign-in as the user ada.

    If `shows_consent` is set, the user must confirm the sign-in on a consent page. The claims in
    `extra_claims` are added to the ID token.
    """

    url: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "one"}))
    extra_claims: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    shows_consent: bool = False

    def create_code(self, query: dict[str, str]) -> dict[str, str]:
        """Issue an authorization code and return the query parameters of the redirect."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return {"code": code, "state": query["state"]}

    def render_consent_page(self, query: dict[str, str]) -> str:
        """Return an HTML page on which the user accepts or denies the sign-in."""
        answers = {
            "Sign in as ada": self.create_code(query),
            "Cancel": {"error": "access_denied", "state": query["state"]},
        }
        forms = "".join(
            _render_form(query["redirect_uri"], label, answer) for label, answer in answers.items()
        )
        head = '<meta charset="utf-8"><title>Issuer</title><link rel="icon" href="data:,">'
        body = f"<h1>Issuer</h1>{forms}"
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'

    def exchange_code(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return the tokens for a code, or None if the request is invalid (RFC 6749, RFC 7636).

        A code can be used only once. The request must come from the client, and it must contain the
        redirect URL of the sign-in and the verifier that matches the code challenge.
        """
        request = self.codes.pop(form["code"], None)
        challenge = (
            urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            .rstrip(b"=")
            .decode()
        )
        if (
            request is None
            or request["code_challenge"] != challenge
            or request["redirect_uri"] != form["redirect_uri"]
            or authorization != httpx.BasicAuth(CLIENT, SECRET)._auth_header
        ):
            return None
        at = int(time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "u1",
            "nonce": request["nonce"],
            "groups": ["ml"],
            "iat": at,
            "exp": at + 60,
        }
        claims |= {"preferred_username": "ada"} | self.extra_claims
        return {
            "id_token": jwt.encode(
                {"alg": "RS256", "kid": "one"}, claims, self.key, algorithms=["RS256"]
            )
        }


def _render_form(url: str, label: str, fields: dict[str, str]) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    return f'<form action="{escape(url)}">{hidden}<button>{label}</button></form>'


@contextmanager
def run_provider(host: str = "127.0.0.1", *, shows_consent: bool = False) -> Iterator[OIDCProvider]:
    """Run a provider within the `with` block and yield it.

    If `host` is "localhost", browsers treat the provider and the service as different sites.
    """
    provider = OIDCProvider(shows_consent=shows_consent)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                self._authorize(
                    {
                        name: values[0]
                        for name, values in parse_qs(urlsplit(self.path).query).items()
                    }
                )
                return
            paths = {
                "authorization_endpoint": "/authorize",
                "token_endpoint": "/token",
                "jwks_uri": "/keys",
            }
            document = {"issuer": provider.url} | {
                name: provider.url + path for name, path in paths.items()
            }
            self._send_json(
                {"keys": [provider.key.as_dict(private=False)]}
                if self.path == "/keys"
                else document
            )

        def _authorize(self, query: dict[str, str]) -> None:
            if provider.shows_consent:
                self._send(provider.render_consent_page(query), "text/html")
                return
            self.send_response(302)
            parameters = provider.create_code(query)
            self.send_header(
                "Location",
                f"{query['redirect_uri']}?code={parameters['code']}&state={parameters['state']}",
            )
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            tokens = provider.exchange_code(form, self.headers.get("Authorization", ""))
            self._send_json(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

        def _send_json(self, document: dict[str, Any], status: int = 200) -> None:
            self._send(json.dumps(document), "application/json", status)

        def _send(self, text: str, content_type: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(text.encode())

    with run_http_server(Handler) as port:
        provider.url = f"http://{host}:{port}"
        yield provider
