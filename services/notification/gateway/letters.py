"""Letters: a notice, filled into its text, as the bytes of an e-mail. Vietnamese first, English second, plain text."""

from __future__ import annotations

from binascii import b2a_qp
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.utils import format_datetime, formataddr
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
        self._domain = sender.rpartition("@")[2]
        self._sender = formataddr((FROM_NAME, sender))  # an encoded word (RFC 2047)
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
        return f"<{notice}@lienthong.{self._domain}>"

    def written(self, claimed: Claimed, address: str) -> bytes | Unsendable:
        """The letter to this address (RFC 5322), or why it cannot be addressed. All but the address is ASCII.

        Put together here: `EmailMessage` parses and folds each of ten headers anew, which takes five times as long.
        """
        to = _addressed(address)
        if to is None:
            return Unsendable("bad_address")
        subject, body = self._text(claimed)
        headers = {
            "From": self._sender,
            "To": to,
            "Subject": Header(subject, "utf-8", header_name="Subject").encode(linesep="\r\n"),
            "Date": format_datetime(claimed.written.astimezone(self._zone)),
            "Message-ID": self.message_id(claimed.id),
            "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday replies
            **({"X-Lienthong-Maybe-Repeated": "yes"} if claimed.maybe_repeated else {}),
            "MIME-Version": "1.0",
            "Content-Type": 'text/plain; charset="utf-8"',
            "Content-Transfer-Encoding": "quoted-printable",
            "Content-Language": "vi, en",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return lines.encode() + b"\r\n" + b2a_qp(body.encode(), istext=True).replace(b"\n", b"\r\n")

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


def _addressed(address: str) -> str | None:
    """An addr-spec (RFC 5322, 3.4.1); with letters beyond ASCII, RFC 6531. None for anything else."""
    if not address.isascii():  # the library parses no local part beyond ASCII
        local, _, domain = address.rpartition("@")
        is_plain = address.isprintable() and not any(each in ' ",:;<>()[]\\' for each in address)
        return address if local and domain and "@" not in local and is_plain else None
    try:
        return Address(addr_spec=address).addr_spec
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
