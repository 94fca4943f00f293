"""Text files in any usual encoding."""

import re
from pathlib import Path

from stargan.errors import DataError

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
          (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))  # fmt: skip


def read(path: Path) -> tuple[str, list[str]]:
    """The text of a file, and a note if its encoding had to be guessed.

    Raises:
        DataError: It cannot be read, or is no text in UTF-8, UTF-16 or the encoding of Western Windows.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise DataError(f"{path}: not a text file in {encoding.upper()} ({error.reason})") from error
        return _western(path, content), [f"{path.name}: not UTF-8; read as Windows-1252"]
    if "\x00" in text:
        raise DataError(f"{path}: not a text file; must be text in UTF-8")
    return text, []


def _encoding(content: bytes) -> str:
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    start = content[:1000]
    if start[1::2].count(0) > len(start) / 4:
        return "utf-16-le"
    return "utf-16-be" if start[0::2].count(0) > len(start) / 4 else "utf-8"


def _western(path: Path, content: bytes) -> str:
    """Decodes Windows-1252. In other encodings, words have hardly any plain letters, or bytes that it does not have."""
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    words = [word for word in re.findall(r"[^\W\d_]+", text) if not word.isascii()]
    plain = sum(letter.isascii() for word in words for letter in word)
    if plain < sum(map(len, words)) / 2 or not words or re.search(r"[\x00-\x08]", text):
        raise DataError(f"{path}: not text in UTF-8, nor in Windows-1252; save it as UTF-8")
    return text
