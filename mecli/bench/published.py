"""What was published for the models of the zoo, to be seen beside what they score here.

All on the full MEGC 2019 composite (442 clips of 68 subjects, three classes), whatever is
scored here. Figures of STSTNet, Dual-Inception and of LBP-TOP stand in the abstracts of the
papers named; those of OFF-ApexNet and Bi-WOOF, which came before the challenge, in the table
of STSTNet's. How the epoch was chosen is said where published code or users tell it: that of
STSTNet and RCN-A keeps the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.report.results import Published

if TYPE_CHECKING:
    from collections.abc import Mapping

_STSTNET = "10.1109/FG.2019.8756567"

PUBLISHED: Mapping[str, Published] = {
    "ststnet": Published(0.735, 0.761, _STSTNET, "its UAR is macro precision; the recall is .719"),
    "off-apexnet": Published(0.720, 0.710, _STSTNET),
    "dual-inception": Published(
        0.732, 0.728, "10.1109/FG.2019.8756579", "other subjects of its corpus pick the epoch"
    ),
    "rcn-a": Published(0.743, 0.719, "10.1109/TIP.2020.3018222"),
    "htnet": Published(
        0.860,
        0.848,
        "10.1016/j.neucom.2024.128196",
        "a user of its code got .655 / .652, its issue 21",
        leaked=True,
    ),
    "bi-woof-svm": Published(0.630, 0.623, _STSTNET),
    "lbp-top-svm": Published(0.588, 0.579, "10.1109/FG.2019.8756611"),
}
