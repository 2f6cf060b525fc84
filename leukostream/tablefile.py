"""A table as a file for research: CSV or Parquet by the ending of its name, with the meaning of every column."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from broker.errors import Misconfigured
from leukostream import __version__

ENDINGS: Final = (".csv", ".parquet")
NOTE: Final = "Research use only, not for diagnosis"
_CONTEXT: Final = "http://www.w3.org/ns/csvw"
_MEANINGS: Final = "-metadata.json"
"""What the standard CSV on the Web has a table's metadata file end in."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column: `unit` is "1" where it has none; `kind` is the kind of feature, or "key" for what names the cell."""

    name: str
    type: Literal["string", "integer", "number"]
    kind: str
    unit: str
    meaning: str
    source: str = ""


Rows = Iterable[Mapping[str, Any]]


def check(out: Path) -> None:
    """Raise Misconfigured where a table could not be written to `out`, before any work is done for it."""
    if out.suffix.lower() not in ENDINGS:
        raise Misconfigured(f"{out}: the ending says what to write; name it {out.stem}.csv or {out.stem}.parquet")
    if not out.parent.is_dir():
        raise Misconfigured(f"{out}: there is no folder {out.parent}; make it first, or name another --out")
    if out.suffix.lower() == ".parquet":
        _arrow()


def write(out: Path, fields: Sequence[Field], rows: Rows) -> int:
    """Write the rows whole or not at all, and return their number; nan and None become an empty cell."""
    check(out)
    kept = [[_plain(row[field.name]) for field in fields] for row in rows]
    part = out.with_name(f".{out.name}.part")
    (_write_csv if out.suffix.lower() == ".csv" else _write_parquet)(part, fields, kept)
    if out.suffix.lower() == ".csv":
        meanings = out.with_name(out.name + _MEANINGS)
        meanings.write_text(json.dumps(_csvw(out.name, fields), indent=1) + "\n")
    part.replace(out)
    return len(kept)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _write_csv(part: Path, fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> None:
    with part.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines)
        table.writerow(field.name for field in fields)
        # Seven digits are all that a float32 has.
        table.writerows([f"{value:.7g}" if isinstance(value, float) else value for value in row] for row in rows)


def _csvw(name: str, fields: Sequence[Field]) -> dict[str, Any]:
    """The meanings as W3C's CSV on the Web has them: a file beside the table, so that any reader takes the table."""
    columns = [
        {"name": field.name, "titles": field.name, "datatype": field.type, "dc:description": field.meaning}
        | {"leukostream:kind": field.kind, "leukostream:unit": field.unit, "leukostream:source": field.source}
        for field in fields
    ]
    return {
        "@context": [_CONTEXT, {"leukostream": "urn:leukostream:"}],
        "url": name,
        "dc:title": f"Measurements of white blood cells. {NOTE}.",
        "dc:creator": f"leukostream {__version__}",
        "tableSchema": {"columns": columns},
    }


def _write_parquet(part: Path, fields: Sequence[Field], rows: Sequence[Sequence[Any]]) -> None:
    arrow = _arrow()
    schema = arrow.schema(
        [arrow.field(field.name, _type(arrow, field), metadata=_said(field)) for field in fields],
        metadata={"creator": f"leukostream {__version__}", "note": NOTE},
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [arrow.array(column, schema.field(at).type) for at, column in enumerate(columns)]
    importlib.import_module("pyarrow.parquet").write_table(arrow.Table.from_arrays(arrays, schema=schema), part)


def _type(arrow: Any, field: Field) -> Any:
    """Measurements have the seven digits of a float32, and take half the room."""
    number = arrow.float64() if field.kind == "key" else arrow.float32()
    return {"string": arrow.string(), "integer": arrow.int64(), "number": number}[field.type]


def _said(field: Field) -> dict[str, str]:
    return {"kind": field.kind, "unit": field.unit, "meaning": field.meaning, "source": field.source}


def _arrow() -> Any:
    try:
        # only who wants Parquet needs it
        return importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        raise Misconfigured(
            "Parquet needs pyarrow: pip install 'leukostream[export]', or name --out FILE.csv"
        ) from None
