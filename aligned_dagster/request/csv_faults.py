"""Where a CSV file is broken: polars says that one of the files of a query is, and neither which nor in what line."""

from __future__ import annotations

import csv
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

_REMEMBERED = 64
_MOST_BYTES = 1 << 30
"""A file that is larger is not read through for a better message."""
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_scanned: OrderedDict[str, tuple[str, str | None]] = OrderedDict()


def remember_scan(address: str, separator: str, quote: str | None) -> None:
    """Keep in mind that a file was scanned, so that it is looked at if a query fails for a broken CSV file.

    Args:
        address: its path; of objects in a bucket nothing is looked up.
        separator: of its cells.
        quote: around cells with a separator.
    """
    _scanned[address] = (separator, quote)
    _scanned.move_to_end(address)
    while len(_scanned) > _REMEMBERED:
        _scanned.popitem(last=False)


def not_utf8() -> tuple[str, str] | None:
    """The latest scanned file that is not in UTF-8: path and line, and the beginning of the line as Latin-1."""
    for path in _files():
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return f"{path}:{number}", line.decode("latin-1").strip()[:60]
    return None


def too_many_cells() -> tuple[str, str, int, int] | None:
    """The latest scanned file with a row longer than its header: path and line, the row, its cells and those of the header."""
    for path in _files():
        separator, quote = _scanned[str(path)]
        with path.open(encoding="utf8", errors="replace", newline="") as text:
            rows = csv.reader(
                text,
                delimiter=separator,
                quotechar=quote or '"',
                quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            )
            header = next(rows, [])
            for row in rows:
                if len(row) > len(header):
                    return f"{path}:{rows.line_num}", separator.join(row)[:60], len(row), len(header)
    return None


def _files() -> Iterator[Path]:
    """The scanned files, the latest first, up to one that cannot be looked at: what is behind it says nothing."""
    for address in reversed(list(_scanned)):
        path = Path(address)
        if not path.is_file() or path.stat().st_size > _MOST_BYTES or _is_packed(path):
            return
        yield path


def _is_packed(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4).startswith(_PACKED)
