"""E-mail (SMTP) and the group robots of WeCom (企业微信) and DingTalk (钉钉).

- smtp: ``smtp://user:password@host:587?security=starttls&from=…&to=a@x,b@x``; security is starttls, tls or none
- wecom: the robot's whole address, ``https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…``
- dingtalk: the robot's whole address, ``https://oapi.dingtalk.com/robot/send?access_token=…``; with ``&secret=SEC…``
  each request is signed (加签: HMAC-SHA-256 over the time in milliseconds and the secret)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import smtplib
import ssl
import time
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from upkeep.alerts.message import Alert

SECONDS = 10.0


class Channel(Protocol):
    """A way to people; ``send`` raises whatever goes wrong."""

    @property
    def kind(self) -> str: ...

    def send(self, alert: Alert) -> None: ...


class NotTaken(Exception):
    """The robot answered, and did not take the message."""


def channel_of(kind: str, uri: str) -> Channel:
    """The channel with this address; raises ValueError where it cannot be one."""
    parts = urlsplit(uri)
    query = dict(parse_qsl(parts.query))
    if not parts.hostname:
        raise ValueError("no host")
    if kind == "smtp":
        security = query.get("security", "starttls")
        recipients = tuple(filter(None, query.get("to", "").split(",")))
        if not recipients or not query.get("from") or security not in ("starttls", "tls", "none"):
            raise ValueError("from, to and security are needed")
        login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        return Email(parts.hostname, parts.port or 587, security, query["from"], recipients, login)
    if parts.scheme not in ("https", "http"):
        raise ValueError("not a web address")
    if kind == "wecom":
        return WeCom(uri)
    secret = query.pop("secret", "")
    return DingTalk(urlunsplit(parts._replace(query=urlencode(query))), secret)


@dataclass(frozen=True)
class Email:
    """One message to all recipients."""

    host: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...]
    login: tuple[str, str] | None = field(default=None, repr=False)
    kind: str = "smtp"

    def send(self, alert: Alert) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = alert.title, self.sender, ", ".join(self.recipients)
        message.set_content(alert.text)
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if self.security == "tls":
            server = smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        with server:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.login:
                server.login(*self.login)
            server.send_message(message)


@dataclass(frozen=True)
class WeCom:
    """企业微信群机器人; a markdown message holds at most 4,096 bytes."""

    address: str = field(repr=False)
    kind: str = "wecom"

    def send(self, alert: Alert) -> None:
        _post(self.address, {"msgtype": "markdown", "markdown": {"content": alert.markdown}})


@dataclass(frozen=True)
class DingTalk:
    """钉钉群机器人, signed where it has a secret."""

    address: str = field(repr=False)
    secret: str = field(default="", repr=False)
    kind: str = "dingtalk"

    def send(self, alert: Alert) -> None:
        markdown = {"title": alert.title, "text": alert.markdown}
        _post(self._signed(), {"msgtype": "markdown", "markdown": markdown, "at": {"isAtAll": False}})

    def _signed(self) -> str:
        if not self.secret:
            return self.address
        moment = str(round(time.time() * 1000))
        code = hmac.new(self.secret.encode(), f"{moment}\n{self.secret}".encode(), hashlib.sha256).digest()
        return f"{self.address}&{urlencode({'timestamp': moment, 'sign': base64.b64encode(code).decode()})}"


def _post(address: str, body: dict[str, Any]) -> None:
    import httpx

    answer = httpx.post(address, json=body, timeout=SECONDS, follow_redirects=False).raise_for_status().json()
    if answer.get("errcode") != 0:
        raise NotTaken(f"errcode {answer.get('errcode')}")
