"""Eleven dossiers of people who do not exist, and what becomes of each: one for every state that a page can show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from shared.events import Channel


@dataclass(frozen=True, slots=True)
class Act:
    """An officer of the unit that holds the dossier does something: the body of a command to routing."""

    action: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bring:
    """The citizen brings papers that were asked for."""

    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The citizen wants the dossier back."""


@dataclass(frozen=True, slots=True)
class HandOut:
    """The result goes to the citizen."""

    way: str = "desk"


Step: TypeAlias = Act | Bring | Withdraw | HandOut


@dataclass(frozen=True, slots=True)
class Tale:
    """A dossier: where, what, how and by whom it is handed in, and the steps after that. ``email`` None: no contact.

    ``unit`` has NN where the town's digits belong.
    """

    name: str
    unit: str
    procedure: str
    channel: Channel
    applicant: str
    email: str | None
    components: tuple[str, ...]
    steps: tuple[Step, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """What is posted to intake."""
        contact = {"contact": {"email": self.email}} if self.email else {}
        return {
            "unit": self.unit,
            "procedure": self.procedure,
            "channel": self.channel.value,
            "applicant": {"name": self.applicant},
            "components": list(self.components),
            **contact,
        }


_ON: Final = Act({"kind": "hand_over"})
_DONE: Final = Act({"kind": "finish"})


def _missing(*components: str) -> Act:
    return Act({"kind": "request_supplement", "components": list(components), "reason": "papers_missing"})


TALES: Final[tuple[Tale, ...]] = (
    Tale(
        "sample-1",
        "000.04.NN.H41",
        "1.001193",
        Channel.DESK,
        "Nguyễn Thị Mẫu",
        "nguyen.thi.mau@example.com",
        ("to_khai", "giay_chung_sinh"),
        (_ON, _ON, _DONE, HandOut()),
    ),
    Tale(
        "sample-2",
        "000.05.NN.H41",
        "1.000656",
        Channel.DESK,
        "Trần Văn Mẫu",
        None,
        ("to_khai", "giay_bao_tu"),
        (_ON,),
    ),
    Tale(
        "sample-3",
        "000.03.NN.H41",
        "1.013225",
        Channel.DESK,
        "Lê Văn Mẫu",
        "le.van.mau@example.com",
        ("don_de_nghi", "ban_ve_thiet_ke"),
        (_ON, _ON, Act({"kind": "hand_over", "officer": "mau-00-specialist-2"})),
    ),
    Tale(
        "sample-4",
        "000.08.NN.H41",
        "1.001731",
        Channel.POST,
        "Phạm Thị Mẫu",
        "pham.thi.mau@example.org",
        ("to_khai",),
        (_ON, _missing("trich_luc_khai_tu")),
    ),
    Tale(
        "sample-5",
        "000.01.NN.H41",
        "1.001776",
        Channel.ONLINE,
        "Hoàng Văn Mẫu",
        "hoang.van.mau@example.net",
        ("to_khai",),
        # On to the public posting, which nobody can shorten.
        (_missing("giay_xac_nhan_khuyet_tat"), Bring(("giay_xac_nhan_khuyet_tat",)), _ON),
    ),
    Tale(
        "sample-6",
        "000.02.NN.H41",
        "1.001612",
        Channel.ONLINE,
        "Hộ kinh doanh Mẫu",
        "ho.kinh.doanh.mau@example.com",
        ("giay_de_nghi",),
        (_ON, Act({"kind": "request_fee", "amount_vnd": 150_000, "reason": "registration_fee"})),
    ),
    Tale(
        "sample-7",
        "000.10.NN.H41",
        "2.000635",
        Channel.DESK,
        "Vũ Thị Mẫu",
        "vu.thi.mau@example.org",
        ("to_khai",),
        (_ON, _ON, _DONE),
    ),
    Tale(
        # One hour is soon over: this is the dossier that a page shows as late from then on.
        "sample-8",
        "000.09.NN.H41",
        "2.001159",
        Channel.ONLINE,
        "Đặng Văn Mẫu",
        "dang.van.mau@example.net",
        (),
    ),
    Tale(
        "sample-9",
        "000.06.NN.H41",
        "1.004222",
        Channel.ONLINE,
        "Bùi Thị Mẫu",
        "bui.thi.mau@example.com",
        ("to_khai",),
        (_ON, Withdraw()),
    ),
    Tale(
        "sample-10",
        "000.00.NN.H41",
        "MAU.09",
        Channel.DESK,
        "Ngô Văn Mẫu",
        "ngo.van.mau@example.com",
        ("hop_dong", "giay_chung_nhan"),
        # Through the land office and the tax office, to the wait until the citizen has paid.
        (_ON, _ON, _ON),
    ),
    Tale(
        "sample-11",
        "000.07.NN.H41",
        "2.000986",
        Channel.DESK,
        "Hồ Thị Mẫu",
        "ho.thi.mau@example.net",
        ("to_khai", "giay_chung_sinh"),
        # The birth is registered: on to the police and to the insurer at once.
        (_ON,),
    ),
)
