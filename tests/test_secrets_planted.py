"""Secrets are planted wherever clouds let people put them; then every byte written is searched.

What is searched: all files of the store (segments unpacked, tables as text and as bytes), the PDF's
text and its attachments, the HTML site, the exports, and what the commands said. What is searched
for: each secret as it is, and escaped, percent-encoded, in base64 and in hexadecimal.
"""

from __future__ import annotations

import base64
import html
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
import zstandard
from planted_estate import PLACES, Planted, plant
from planted_types import OWN_TYPES
from support_cli import Said, auditpack
from support_secrets import samples

from auditpack.demo.server import MotoServer

pytestmark = pytest.mark.slow

COMMANDS = (
    ("init", "--organisation", "Planted", "--no-passphrase"),
    ("collect", "--region", "us-east-1"),
    ("evaluate",),
    ("pack", "--output", "pack.pdf"),
    ("site",),
    ("verify",),
    ("export", "findings", "--output", "findings.csv"),
    ("export", "findings", "--format", "json", "--output", "findings.json"),
)


@dataclass(frozen=True)
class Run:
    """What was planted, what the cloud refused, and everything that was written or said."""

    planted: list[Planted]
    refused: dict[str, str]
    folder: Path
    said: dict[str, Said]
    texts: dict[str, str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "auditpack.d/resources").mkdir(parents=True)
    for name, text in OWN_TYPES.items():
        (folder / f"auditpack.d/resources/{name}.yaml").write_text(text.lstrip())
    with MotoServer() as server:
        planted, refused = plant(server.endpoint_url, seed=7)
        environment = {
            "AWS_ENDPOINT_URL": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        said = {
            " ".join(command): auditpack(*command, cwd=folder, timeout=600, **environment)
            for command in COMMANDS
        }
    return Run(planted, refused, folder, said, dict(everything(folder, said)))


def everything(folder: Path, said: dict[str, Said]) -> Iterator[tuple[str, str]]:
    """Yield a name and the text of everything that was written, unpacked, and said."""
    for command, answer in said.items():
        yield f"said by {command}", answer.out + answer.err
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(file.relative_to(folder))
        if name.startswith("auditpack.d/"):
            continue
        yield name, file.read_bytes().decode("latin-1")
        yield from unpacked(name, file)


def unpacked(name: str, file: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file that is packed holds."""
    if file.suffix == ".zst":
        with file.open("rb") as packed, zstandard.open(packed, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield f"{name}, line {number}", line
                yield f"{name}, body of line {number}", json.loads(line)["body"]
    elif file.suffix == ".parquet":
        rows = duckdb.sql(f"SELECT to_json(t) FROM '{file}' AS t").fetchall()
        yield f"{name}, rows", "\n".join(row[0] for row in rows)
    elif file.suffix == ".pdf":
        text = subprocess.run(["pdftotext", "-raw", file, "-"], capture_output=True, check=True)
        yield f"{name}, text", text.stdout.decode().replace("\n", "")
        attached = file.with_name("attached")
        attached.mkdir()
        subprocess.run(["pdfdetach", "-saveall", "-o", attached, file], check=True)
        for part in attached.iterdir():
            yield f"{name}, attached {part.name}", part.read_bytes().decode("latin-1")


def forms(secret: str) -> Iterator[str]:
    """Yield a secret as it might be written: each of its lines, escaped and encoded."""
    lines = secret.splitlines()
    for piece in lines if len(lines) > 1 else [secret]:
        if len(lines) > 1 and (len(piece) < 16 or piece.startswith("-----")):
            continue
        data = piece.encode()
        escaped = json.dumps(piece, ensure_ascii=False)[1:-1]
        yield from (piece, data.decode("latin-1"), html.escape(piece), quote(piece, safe=""))
        ascii_only = json.dumps(piece)[1:-1]
        yield from (escaped, json.dumps(escaped, ensure_ascii=False)[1:-1], data.hex())
        yield from (ascii_only, json.dumps(ascii_only)[1:-1])
        for before in range(3):  # base64 of a longer text that it stands in
            shifted = base64.b64encode(b"\0" * before + data).decode()
            yield shifted[(0, 2, 3)[before] : len(shifted) - 4]


def test_the_estate_holds_what_it_should(run: Run) -> None:
    assert run.refused == {}
    assert len({planted.secret for planted in run.planted}) >= 150, "different secrets"
    assert {planted.place for planted in run.planted} == {*PLACES, "by its name"}
    codes = {command: said.code for command, said in run.said.items()}
    assert set(codes.values()) == {0}, codes


def test_every_place_was_read_and_gave_up_secrets(run: Run) -> None:
    found = Counter[str]()
    for name, text in run.texts.items():
        if ", line " in name:
            capture = json.loads(text)
            found[capture["operation"]] += len(capture["redactions"])
    silent = {name: place.read_by for name, place in PLACES.items() if not found[place.read_by]}
    assert silent == {}


def test_no_secret_is_in_anything_that_was_written(run: Run) -> None:
    haystack = {text: name for name, text in run.texts.items()}
    whole = "\0".join(haystack)
    leaked = [
        (planted.name, planted.place, form)
        for planted in run.planted
        for form in set(forms(planted.secret))
        if len(form) >= 5 and form in whole
    ]
    where = {
        leak: [name for text, name in haystack.items() if leak[2] in text][:5] for leak in leaked
    }
    assert where == {}


@pytest.mark.parametrize("padding", [0, 250, 280])
def test_a_secret_in_an_error_message_is_kept_nowhere(
    aws_environment: Any, tmp_path: Path, padding: int
) -> None:
    planted = [samples(seed)["GitHub, personal"] for seed in (1, 2)]
    told = " and ".join("".join(sample) for sample in planted)
    message = f"{'x' * padding} {told} is no valid value"
    aws_environment.refuse = lambda request: (
        (400, "ValidationException", message) if request.service in ("kms", "s3") else None
    )
    types = ("--type", "aws_kms_key", "--type", "aws_s3_bucket")
    said = {"collect": auditpack("collect", "--region", "us-east-1", *types, cwd=tmp_path)}
    written = dict(everything(tmp_path, said))
    assert said["collect"].code == 0
    assert any("ValidationException" in text for text in written.values())
    for _, secret, _ in planted:
        for start in range(0, len(secret) - 12):
            part = secret[start : start + 12]
            assert [name for name, text in written.items() if part in text] == []


def test_the_search_finds_what_is_there() -> None:
    secret = 'pa"ss\\w&rd-ü'
    assert all(
        any(form in text for form in forms(secret))
        for text in (
            secret,
            json.dumps(json.dumps({"a": secret})),
            html.escape(f"<{secret}>"),
            base64.b64encode(f"x{secret}yz".encode()).decode(),
            base64.b64encode(f"xy{secret}z".encode()).decode(),
            f"https://x/?{quote(secret, safe='')}",
            secret.encode().hex(),
        )
    )
