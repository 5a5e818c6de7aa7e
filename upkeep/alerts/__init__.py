"""Alerts (告警): what is told to whom when something failed. Off until a channel is named; see docs/runbook/alerts.md.

A failing channel is a line in the log and nothing else: an alert never fails what it reports.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from upkeep.alerts.channels import Channel, channel_of
from upkeep.alerts.message import Alert, alert_of

__all__ = ["Alert", "Channel", "alert_of", "channel_of", "channels", "send"]

#: Channel kind -> the environment variable with its URI, which is also (in small letters) an Airflow connection's id.
SETTINGS = {"smtp": "TONGBAO_ALERT_SMTP", "wecom": "TONGBAO_ALERT_WECOM", "dingtalk": "TONGBAO_ALERT_DINGTALK"}

log = logging.getLogger("tongbao.alerts")


def channels(settings: Mapping[str, str]) -> list[Channel]:
    """The channels that these settings name (the environment, or the same from Airflow connections); often none.

    A setting that cannot be read is reported by its name, never by its text: it holds a secret.
    """
    found = []
    for kind, name in SETTINGS.items():
        if uri := settings.get(name, "").strip():
            try:
                found.append(channel_of(kind, uri))
            except ValueError:
                log.error("ALERT %s is not a setting that can be read; see docs/runbook/alerts.md", name)
    return found


def send(alert: Alert, to: list[Channel]) -> list[str]:
    """Sends the alert by every channel; returns the kinds that took it. Never raises."""
    taken = []
    for channel in to:
        try:
            channel.send(alert)
            taken.append(channel.kind)
        except Exception as error:
            # The error's text may hold the address with its secret.
            log.error("ALERT by %s failed: %s", channel.kind, type(error).__name__)
    return taken
