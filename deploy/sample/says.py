"""What the sample says of itself on every page, and whose figure its catalogue is measured by."""

from typing import Final

BANNER_VI: Final = "Dữ liệu mẫu: thị xã Hoàng Mai như năm 2019; người và hồ sơ đều không có thật"
BANNER_EN: Final = "Sample data: Hoàng Mai town as of 2019; no person and no dossier in it is real"
FIGURE: Final = 378
WHOSE: Final = (
    "378 là số thủ tục do chính thị xã công bố (Báo Nghệ An, 12/8/2019, năm do suy đoán); danh mục ấy chưa tìm thấy"
    " | 378 is the number that the town itself published (Báo Nghệ An, 12 August; the year 2019 is inferred); its list"
    " was not found"
)
SETTINGS: Final = {
    "BANNER_VI": BANNER_VI,
    "BANNER_EN": BANNER_EN,
    "CATALOGUE_FIGURE": str(FIGURE),
    "CATALOGUE_FIGURE_WHOSE": WHOSE,
}
"""The environment of services, door and mail catcher wherever the sample is."""
