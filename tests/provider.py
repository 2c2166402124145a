"""An OpenID provider of a test's own, with real keys: authorization code and PKCE, with a page for people where it asks them."""

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

from tests.listening import listening

CLIENT, SECRET = "portal", "of-the-client"


@dataclass
class Provider:
    """It signs everybody in at once, unless it `asks`; what it says of them can be changed."""

    url: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "one"}))
    says: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asks: bool = False

    def authorize(self, query: dict[str, str]) -> dict[str, str]:
        """What the browser takes back: a code."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = query
        return {"code": code, "state": query["state"]}

    def page(self, query: dict[str, str]) -> str:
        """Where people say yes or no."""
        answers = {"Sign in as ada": self.authorize(query), "Cancel": {"error": "access_denied", "state": query["state"]}}
        forms = "".join(_form(query["redirect_uri"], words, answer) for words, answer in answers.items())
        head = '<meta charset="utf-8"><title>Issuer</title><link rel="icon" href="data:,">'
        return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>Issuer</h1>{forms}</body></html>'

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """By RFC 6749 and RFC 7636: the code once, for the same client and address, with the verifier of the challenge."""
        asked = self.codes.pop(form["code"], None)
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        right = asked and asked["code_challenge"] == challenge and asked["redirect_uri"] == form["redirect_uri"]
        if not right or asked is None or authorization != httpx.BasicAuth(CLIENT, SECRET)._auth_header:
            return None
        at = int(time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "u1",
            "nonce": asked["nonce"],
            "groups": ["ml"],
            "iat": at,
            "exp": at + 60,
        }
        claims |= {"preferred_username": "ada"} | self.says
        return {"id_token": jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key, algorithms=["RS256"])}


def _form(address: str, words: str, fields: dict[str, str]) -> str:
    hidden = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())
    return f'<form action="{escape(address)}">{hidden}<button>{words}</button></form>'


@contextmanager
def providing(host: str = "127.0.0.1", *, asks: bool = False) -> Iterator[Provider]:
    """The provider as a server, until the block ends. By the name localhost it is another site to a browser than the service."""
    told = Provider(asks=asks)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                self._authorize({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
                return
            names = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            document = {"issuer": told.url} | {name: told.url + path for name, path in names.items()}
            self._answer({"keys": [told.key.as_dict(private=False)]} if self.path == "/keys" else document)

        def _authorize(self, query: dict[str, str]) -> None:
            if told.asks:
                self._send(told.page(query), "text/html")
                return
            self.send_response(302)
            answer = told.authorize(query)
            self.send_header("Location", f"{query['redirect_uri']}?code={answer['code']}&state={answer['state']}")
            self.end_headers()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            found = told.token(form, self.headers.get("Authorization", ""))
            self._answer(found or {"error": "invalid_grant"}, 200 if found else 400)

        def _answer(self, document: dict[str, Any], status: int = 200) -> None:
            self._send(json.dumps(document), "application/json", status)

        def _send(self, text: str, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

    with listening(Handler) as port:
        told.url = f"http://{host}:{port}"
        yield told
