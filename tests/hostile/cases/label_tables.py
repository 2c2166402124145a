"""Tables of labels beside the images: broken quotes, encodings, rows and files."""

import json
from collections.abc import Callable, Iterator

from tests.hostile.case import READY, Case, later
from tests.hostile.cases.samples import make_zip, png

_REFUSED, _LAYOUT = "archive_refused", "layout_invalid"
_NAMES = [f"{n:02}.png" for n in range(12)]
_ROWS = [f"{name},{'cat' if n % 2 else 'dog'}" for n, name in enumerate(_NAMES)]


def cases() -> Iterator[Case]:
    yield from _csv_files()
    yield from _columns()
    yield from _json_files()


def _case(
    name: str,
    table: bytes | str | Callable[[], str],
    *outcomes: str,
    mentions: str = "",
    filename: str = "labels.csv",
) -> Case:
    content = later(_make_zip, table, filename)
    return Case("label tables", name, "a.zip", content, outcomes, mentions)


def _make_zip(table: bytes | str | Callable[[], str], filename: str) -> bytes:
    images = {f"images/{file}": png(n) for n, file in enumerate(_NAMES)}
    text = table() if callable(table) else table
    return make_zip(images | {filename: text.encode() if isinstance(text, str) else text})


def _csv(*rows: str, header: str = "file,label") -> str:
    return "\n".join([header, *rows]) + "\n"


def _csv_files() -> Iterator[Case]:
    whole = _csv(*_ROWS)
    yield _case("valid", whole, READY, mentions="labels.csv")
    encodings = {
        "utf8-bom": "utf-8-sig",
        "utf16": "utf-16",
        "utf16-le": "utf-16-le",
        "utf32": "utf-32",
        "ascii": "ascii",
    }
    for name, encoding in encodings.items():
        outcomes = (READY,) if name not in {"utf16-le", "utf32"} else (READY, _LAYOUT)
        yield _case(f"encoding-{name}", whole.encode(encoding), *outcomes)
    latin = _csv(*_ROWS).replace("cat", "caf\u00e9").encode("latin-1")
    yield _case("encoding-latin1", latin, _LAYOUT, mentions="UTF-8")
    for name, ending in {
        "crlf": "\r\n",
        "cr": "\r",
        "blank-lines": "\n\n",
        "mixed": "\r\n\n",
    }.items():
        yield _case(f"lines-{name}", whole.replace("\n", ending), READY)
    yield _case("lines-with-nul", whole.replace("\n", "\0\n"), READY, _LAYOUT)
    for name, delimiter in {"semicolon": ";", "tab": "\t"}.items():
        yield _case(f"delimiter-{name}", whole.replace(",", delimiter), READY)
    quoted = _csv(*_ROWS[:4], f'"{_ROWS[4]}', *_ROWS[5:])
    yield _case("quote-never-closed", quoted, _LAYOUT, mentions="labels.csv")
    early = _csv(f'"{_ROWS[0]}', *_ROWS[1:])
    yield _case("quote-never-closed-from-the-start", early, _LAYOUT)
    yield _case(
        "quotes-everywhere",
        _csv(*(f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in _ROWS)),
        READY,
    )
    yield _case("header-only", _csv(), _LAYOUT)
    yield _case("empty", "", _LAYOUT)
    yield _case("header-missing", "\n".join(_ROWS), READY, _LAYOUT)
    yield _case("rows-twice", _csv(*_ROWS, *_ROWS), READY)
    yield _case("rows-that-disagree", _csv(*_ROWS, "00.png,cat"), _LAYOUT, mentions="00.png")
    yield _case(
        "rows-of-missing-files",
        _csv(*_ROWS, "98.png,cat", "99.png,dog"),
        READY,
        mentions="2 rows of labels.csv name no image",
    )
    yield _case("rows-too-few", _csv(*_ROWS[:8]), READY, mentions="4 images")
    yield _case(
        "rows-too-short", _csv(*_ROWS[:10], "10.png", "11.png"), READY, mentions="2 images outside"
    )
    yield _case("rows-too-long", _csv(*(f"{row},x,y,z" for row in _ROWS)), READY)
    yield _case(
        "rows-without-label", _csv(*_ROWS[:10], "10.png,", "11.png, "), READY, mentions="2 images"
    )
    yield _case(
        "row-of-1-megabyte",
        _csv(*_ROWS, "99.png," + "x" * 1_000_000),
        _LAYOUT,
        READY,
        mentions="labels.csv",
    )
    yield _case(
        "row-of-65-megabytes",
        lambda: _csv(*_ROWS, "99.png," + "x" * (65 << 20)),
        _REFUSED,
        mentions="labels.csv",
    )
    yield _case("rows-2-million", lambda: _csv(*_ROWS, *["x,y"] * 2_000_000), _LAYOUT, READY)
    yield _case(
        "labels-million-characters",
        _csv(*(f"{name},{'x' * 1000}{n % 2}" for n, name in enumerate(_NAMES))),
        _LAYOUT,
    )
    yield _case(
        "labels-of-control-characters",
        _csv(*(row.replace("cat", "c\x07t") for row in _ROWS)),
        _LAYOUT,
    )
    yield _case(
        "labels-all-different", _csv(*(f"{name},{n}" for n, name in enumerate(_NAMES))), _LAYOUT
    )
    yield _case("names-outside", _csv(*(f"../../{row}" for row in _ROWS)), _LAYOUT, READY)
    yield _case(
        "formulas", _csv(*(row.replace("cat", "=cmd|' /C calc'!A0") for row in _ROWS)), READY
    )


def _columns() -> Iterator[Case]:
    wide = [",".join([row] + ["1"] * 5000) for row in _ROWS]
    header = ",".join(["file", "label", *(f"c{n}" for n in range(5000))])
    yield _case("columns-5000", _csv(*wide, header=header), READY, _LAYOUT)
    yield _case("columns-a-million", "," * 1_000_000 + "\n" + "\n".join(_ROWS), _LAYOUT, READY)
    headers = {
        "twice": "label,label",
        "empty": ",",
        "spaces": " file , label ",
        "one": "file",
        "unknown": "a,b",
        "upper": "FILE,LABEL",
        "split": "file,label,split",
        "none": "",
    }
    for name, text in headers.items():
        yield _case(f"header-{name}", _csv(*_ROWS, header=text), READY, _LAYOUT)
    splits = [f"{row},{'val' if n < 6 else 'train'}" for n, row in enumerate(_ROWS)]
    yield _case("split-column", _csv(*splits, header="file,label,split"), READY)
    other = [f"{row},{'secret' if n < 6 else 'train'}" for n, row in enumerate(_ROWS)]
    yield _case("split-column-of-other-words", _csv(*other, header="file,label,split"), READY)
    tests = [f"{row},{('train', 'val', 'test')[n // 4]}" for n, row in enumerate(_ROWS)]
    yield _case(
        "split-column-with-test",
        _csv(*tests, header="file,label,split"),
        READY,
    )


def _json_files() -> Iterator[Case]:
    rows = [
        json.dumps({"file_name": name, "label": "cat" if n % 2 else "dog"})
        for n, name in enumerate(_NAMES)
    ]

    def case(name: str, lines: list[str], *outcomes: str, mentions: str = "") -> Case:
        return _case(
            f"jsonl-{name}",
            "\n".join(lines),
            *outcomes,
            mentions=mentions,
            filename="metadata.jsonl",
        )

    yield case("valid", rows, READY, mentions="metadata.jsonl")
    for name, line in {
        "cut-line": '{"file_name": "04.p',
        "text-line": "hello",
        "nested-line": "[" * 100_000,
        "huge-number": '{"a": ' + "9" * 10_000 + "}",
    }.items():
        yield case(name, [*rows[:4], line, *rows[4:]], _LAYOUT, mentions="metadata.jsonl")
        yield case(f"{name}-first", [line, *rows], _LAYOUT)
    odd = {
        "list-line": "[1]",
        "number-line": "7",
        "null-line": "null",
        "empty-line": "",
        "empty-object": "{}",
    }
    for name, line in odd.items():
        yield case(name, [*rows[:4], line, *rows[4:]], READY)
    missing = [*rows[:10], '{"file_name": "10.png"}', '{"label": "cat"}']
    yield case("rows-without-keys", missing, READY, mentions="2 images")
    nested = [json.dumps({"file_name": name, "label": {"name": "cat"}}) for name in _NAMES]
    yield case("labels-of-dicts", nested, READY, _LAYOUT)
    surrogates = [row.replace('"cat"', '"\\ud800"') for row in rows]
    yield case("labels-of-surrogates", surrogates, _LAYOUT)
    yield case(
        "separators-inside", [row.replace("cat", "c\u2028t") for row in rows], READY, _LAYOUT
    )
    many = [json.dumps({f"c{n}": 1 for n in range(10_000)})]
    yield case("columns-10000", many + rows, READY, _LAYOUT)
    splits = [json.loads(row) | ({"split": "val"} if n < 6 else {}) for n, row in enumerate(rows)]
    yield case("split-in-some-rows", [json.dumps(row) for row in splits], READY)
