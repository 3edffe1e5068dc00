"""Letters: a notice, filled into its text, as an e-mail message. Vietnamese first, English second, plain text."""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notification.values import Claimed, Unsendable

FROM_NAME: Final = "Một cửa liên thông"

# Calendars are not heard here, and need not be: every unit whose dossiers are told about lives in this zone (the replay
# unit does not, and nobody is told about a replayed dossier).
_ZONE: Final = "Asia/Ho_Chi_Minh"


class Letters:
    """The texts of ``templates/``, one for each kind of notice: the first line is the subject."""

    def __init__(self, templates: Path, sender: str, public_url: str | None, zone: str = _ZONE) -> None:
        self._sender = Address(FROM_NAME, addr_spec=sender)
        self._zone = ZoneInfo(zone)
        self._environment = Environment(
            loader=FileSystemLoader(templates),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["public_url"] = public_url
        self._environment.filters.update(vi=self._vi, en=self._en)

    def message_id(self, notice: str) -> str:
        """The same for every attempt, so that a mail that arrives twice can be known for one."""
        return f"<{notice}@lienthong.{self._sender.domain}>"

    def written(self, claimed: Claimed, address: str) -> EmailMessage | Unsendable:
        """The letter to this address, or why it cannot be addressed."""
        to = _addressed(address)
        if to is None:
            return Unsendable("bad_address")
        subject, body = self._text(claimed)
        letter = EmailMessage(SMTP if address.isascii() else SMTPUTF8)
        letter["From"] = self._sender
        letter["To"] = to
        letter["Subject"] = subject
        letter["Date"] = claimed.written.astimezone(self._zone)
        letter["Message-ID"] = self.message_id(claimed.id)
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
        if claimed.maybe_repeated:
            letter["X-Lienthong-Maybe-Repeated"] = "yes"
        letter.set_content(body, cte="quoted-printable")
        letter["Content-Language"] = "vi, en"
        return letter

    def _text(self, claimed: Claimed) -> tuple[str, str]:
        text = self._environment.get_template(f"{claimed.template.value}.txt").render(claimed.parameters)
        subject, _, body = text.partition("\n")
        return " ".join(subject.split()), body.strip() + "\n"

    def _vi(self, instant: str) -> str:
        """16:30 ngày 06/06/2019"""
        return f"{self._local(instant):%H:%M ngày %d/%m/%Y}"

    def _en(self, instant: str) -> str:
        """16:30 on 6 June 2019: 06/06 means two days to those who read English."""
        local = self._local(instant)
        return f"{local:%H:%M} on {local.day} {_MONTHS[local.month - 1]} {local.year}"

    def _local(self, instant: str) -> datetime:
        return datetime.fromisoformat(instant).astimezone(self._zone)


def _addressed(address: str) -> Address | None:
    """An addr-spec (RFC 5322, 3.4.1); with letters beyond ASCII, RFC 6531. None for anything else."""
    try:
        if address.isascii():
            return Address(addr_spec=address)
        # The library parses no local part beyond ASCII, but writes it.
        local, _, domain = address.rpartition("@")
        is_plain = address.isprintable() and not any(each in ' ",:;<>()[]\\' for each in address)
        return Address(username=local, domain=domain) if local and domain and "@" not in local and is_plain else None
    except (ValueError, IndexError):
        return None  # what the library raises for text that it cannot parse


_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
