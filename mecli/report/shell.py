"""What every page is made of: its frame, safe words and pictures inside the file itself."""

from __future__ import annotations

import base64
import html
from hashlib import sha256
from typing import TYPE_CHECKING

import cv2

from mecli.report.pictures import png
from mecli.report.style import STYLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

QUALITY = 88
CLOSING = "</body></html>\n"


def opening(title: str, style: str = "", script: str = "") -> str:
    """Return the start of a page up to its first heading; `style` comes on top of its own.

    The page may fetch nothing and run nothing but `script`: its policy forbids the rest.
    """
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'" + (
        f"; script-src 'sha256-{digest}'" if script else ""
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}{style}</style>"
        f"{f'<script>{script}</script>' if script else ''}</head>\n<body>\n"
    )


def text(words: str) -> str:
    """Return `words` so that a name from a file is no markup and hides no control character."""
    return html.escape(
        "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    )


def jpeg_uri(image: Image, quality: int = QUALITY) -> str:
    """Return an RGB picture as the address of a JPEG that holds it."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def png_uri(image: Image) -> str:
    """Return a gray, RGB or RGBA picture as the address of a PNG that holds it."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode()}"


def webp_uri(image: Image, quality: int = QUALITY) -> str:
    """Return an RGB or RGBA picture as the address of a WebP that holds it."""
    swap = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    swapped = cv2.cvtColor(image, swap)
    data = cv2.imencode(".webp", swapped, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
