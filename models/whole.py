"""Whether an image file is whole: decoders fill the missing part of some formats with grey and say nothing."""

from __future__ import annotations

import struct

from models.errors import UnreadableImage

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def check_whole(content: bytes) -> None:
    """UnreadableImage for a PNG, WebP or BMP that is cut short; `image.decode` itself finds a JPEG that is."""
    if content.startswith(PNG_START):
        whole = content.rstrip(b"\x00").endswith(PNG_END)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        whole = len(content) >= struct.unpack_from("<I", content, 4)[0] + 8
    elif content[:2] == b"BM" and len(content) >= 54:
        whole = len(content) >= _bmp_bytes(content)
    else:
        return
    if not whole:
        raise UnreadableImage("cut short: the end of the file is missing")


def _bmp_bytes(content: bytes) -> int:
    """How long a BMP without compression must be, from its header, whose own length field is often wrong."""
    start = struct.unpack_from("<I", content, 10)[0]
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    rows = (abs(width) * bits + 31) // 32 * 4 * abs(height)
    return int(start + rows) if compression == 0 else 0
