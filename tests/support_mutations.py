"""The ways in which `support_tampering` tampers: with any file, and with what we know of ours.

Each takes the estate and a seeded chooser, does one thing to the files, and says what it was.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson
import zstandard
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from securesystemslib.dsse import Envelope
from support_store import new_key
from support_tampering import Estate, State, Tamper, Tampering, remove, restore

from evidence.canonical import canonical_json, sha256_hex
from evidence.checkpoint import Checkpoint, sign_checkpoint
from evidence.keys import SigningKey
from evidence.log import read_record, record_name
from evidence.manifest import MANIFEST_NAME
from evidence.merkle import MerkleTree
from evidence.verify import Trust

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n of P-256 (FIPS 186-4, D.1.2.3)."""

Change = Callable[[bytes, random.Random], bytes]
"""Returns other bytes than it was given, or the same where there is nothing to change."""


def _a_file(estate: Estate, chooser: random.Random) -> str:
    return chooser.choice(estate.files)


def _spot(data: bytes, chooser: random.Random) -> int:
    return chooser.randrange(len(data)) if data else 0


# ------------------------------------------------------------------------- bytes of any file


def _flip_bit(data: bytes, chooser: random.Random) -> bytes:
    at = _spot(data, chooser)
    return data[:at] + bytes([data[at] ^ (1 << chooser.randrange(8))]) + data[at + 1 :]


def _set_byte(data: bytes, chooser: random.Random) -> bytes:
    at = _spot(data, chooser)
    return data[:at] + chooser.randbytes(1) + data[at + 1 :]


def _truncate(data: bytes, chooser: random.Random) -> bytes:
    return data[: _spot(data, chooser)]


def _drop_last_byte(data: bytes, _: random.Random) -> bytes:
    return data[:-1]


def _cut_out(data: bytes, chooser: random.Random) -> bytes:
    start = _spot(data, chooser)
    return data[:start] + data[start + chooser.randint(1, 40) :]


def _append(data: bytes, chooser: random.Random) -> bytes:
    return data + chooser.choice([b"\n", b" ", b"\0", b"{}", chooser.randbytes(30), data])


def _insert(data: bytes, chooser: random.Random) -> bytes:
    at = _spot(data, chooser)
    return data[:at] + chooser.choice([b"\n", b" ", b"\0", chooser.randbytes(9)]) + data[at:]


def _repeat_part(data: bytes, chooser: random.Random) -> bytes:
    start, length = _spot(data, chooser), chooser.randint(1, 64)
    return data[: start + length] + data[start:]


def _exchange_parts(data: bytes, chooser: random.Random) -> bytes:
    """Exchange two parts of equal length: every byte is still there."""
    length = chooser.randint(1, 32)
    one, other = sorted((_spot(data, chooser), _spot(data, chooser)))
    if other + length > len(data) or one + length > other:
        return data
    left, right = data[one : one + length], data[other : other + length]
    return data[:one] + right + data[one + length : other] + left + data[other + length :]


def _empty(_: bytes, __: random.Random) -> bytes:
    return b""


def _other_spelling(data: bytes, chooser: random.Random) -> bytes:
    """Write the same JSON another way: indented, in ASCII, with a line's end."""
    try:
        value = json.loads(data)
    except ValueError:
        return data
    options: Sequence[dict[str, Any]] = ({"indent": 1}, {"indent": None}, {"sort_keys": True})
    return json.dumps(value, **chooser.choice(options)).encode() + chooser.choice([b"", b"\n"])


def _changing(kind: str, change: Change) -> Tamper:
    def tamper(estate: Estate, chooser: random.Random) -> Tampering | None:
        path = _a_file(estate, chooser)
        data = estate.bytes_of(path)
        estate.write(path, change(data, chooser) if data else b"x")
        return Tampering(kind, (path,))

    return tamper


# ------------------------------------------------------------------------- files and folders


def _delete(estate: Estate, chooser: random.Random) -> Tampering:
    path = _a_file(estate, chooser)
    (estate.root / path).unlink()
    return Tampering("delete a file", (path,))


def _delete_folder(estate: Estate, chooser: random.Random) -> Tampering | None:
    path = _a_folder(estate, chooser)
    remove(estate.root / path)
    return Tampering("delete a folder", _lost(estate, path))


def _swap(estate: Estate, chooser: random.Random) -> Tampering | None:
    one, other = chooser.sample(estate.files, 2)
    if estate.bytes_of(one) == estate.bytes_of(other):
        return None
    estate.write(one, estate.bytes_of(other))
    estate.write(other, estate.bytes_of(one))
    return Tampering("swap two files", (one, other))


def _swap_alike(estate: Estate, chooser: random.Random) -> Tampering | None:
    """Swap two files of the same kind, as a person would who mixes them up."""
    one = _a_file(estate, chooser)
    alike = [p for p in estate.files if _suffix(p) == _suffix(one) and p != one]
    other = chooser.choice(alike or [one])
    if estate.bytes_of(one) == estate.bytes_of(other):
        return None
    estate.write(one, estate.bytes_of(other))
    estate.write(other, estate.bytes_of(one))
    return Tampering("swap two files of a kind", (one, other))


def _suffix(path: str) -> str:
    return PurePosixPath(path).name.partition(".")[2]


def _overwrite(estate: Estate, chooser: random.Random) -> Tampering:
    one, other = chooser.sample(estate.files, 2)
    estate.write(one, estate.bytes_of(other))
    return Tampering("overwrite with another file", (one,))


def _swap_folders(estate: Estate, chooser: random.Random) -> Tampering | None:
    if len(estate.parts) < 2:
        return None
    one, other = chooser.sample(estate.parts, 2)
    between = estate.root / "between"
    (estate.root / one).rename(between)
    (estate.root / other).rename(estate.root / one)
    between.rename(estate.root / other)
    return Tampering("swap two folders", (one, other))


def _new_name(path: str, chooser: random.Random) -> str:
    pure = PurePosixPath(path)
    choices = [
        f"{pure.name}.bak",
        f".{pure.name}",
        f"{chooser.randrange(10**6)}{pure.suffix}",
        pure.name.upper() if pure.name.upper() != pure.name else f"{pure.name}~",
        f"{pure.stem}\n{pure.suffix}",
        os.fsdecode(b"\xff" + os.fsencode(pure.name)),
        pure.name.replace("0", "1", 1) if "0" in pure.name else f"copy of {pure.name}",
    ]
    return (pure.parent / chooser.choice(choices)).as_posix()


def _is_free(estate: Estate, path: str) -> bool:
    return path not in estate.pristine


def _rename(estate: Estate, chooser: random.Random) -> Tampering | None:
    path = _a_file(estate, chooser)
    target = _new_name(path, chooser)
    if not _is_free(estate, target):
        return None
    (estate.root / path).rename(estate.root / target)
    return Tampering("rename a file", (path, target))


def _move(estate: Estate, chooser: random.Random) -> Tampering | None:
    path, folder = _a_file(estate, chooser), _a_folder(estate, chooser)
    target = f"{folder}/{PurePosixPath(path).name}"
    if not _is_free(estate, target):
        return None
    (estate.root / path).rename(estate.root / target)
    return Tampering("move a file", (path, target))


def _duplicate(estate: Estate, chooser: random.Random) -> Tampering | None:
    path = _a_file(estate, chooser)
    target = _new_name(path, chooser)
    if chooser.random() < 0.5:
        target = f"{_a_folder(estate, chooser)}/{PurePosixPath(path).name}"
    if not _is_free(estate, target):
        return None
    estate.write(target, estate.bytes_of(path))
    return Tampering("duplicate a file", (target,))


def _rename_folder(estate: Estate, chooser: random.Random) -> Tampering | None:
    path = _a_folder(estate, chooser)
    target = _new_name(path, chooser)
    if not _is_free(estate, target):
        return None
    (estate.root / path).rename(estate.root / target)
    return Tampering("rename a folder", (*_lost(estate, path), target))


def _duplicate_folder(estate: Estate, chooser: random.Random) -> Tampering | None:
    import shutil

    path = _a_folder(estate, chooser)
    target = _new_name(path, chooser)
    if not _is_free(estate, target):
        return None
    shutil.copytree(estate.root / path, estate.root / target)
    return Tampering("duplicate a folder", (target,))


def _a_folder(estate: Estate, chooser: random.Random) -> str:
    """Choose a folder with evidence in it, however deep."""
    folders = {str(parent) for path in estate.files for parent in PurePosixPath(path).parents}
    return chooser.choice(sorted(folders - {"."}) or ["."])


def _lost(estate: Estate, folder: str) -> tuple[str, ...]:
    """What must be named when a folder is gone: every file, but of the log the log itself."""
    if folder == "log":
        return ("log",)
    return tuple(path for path in estate.files if path.startswith(f"{folder}/"))


def _replace_by_link(estate: Estate, chooser: random.Random) -> Tampering:
    """Replace a file by a link to its own bytes elsewhere, or to another file."""
    path = _a_file(estate, chooser)
    there = estate.root.parent / "elsewhere"
    there.write_bytes(estate.bytes_of(path))
    target = there if chooser.random() < 0.7 else estate.root / _a_file(estate, chooser)
    (estate.root / path).unlink()
    (estate.root / path).symlink_to(target)
    return Tampering("replace a file by a link", (path,))


def _replace_folder_by_link(estate: Estate, chooser: random.Random) -> Tampering:
    path = _a_folder(estate, chooser)
    there = estate.root.parent / "elsewhere.d"
    remove(there)
    (estate.root / path).rename(there)
    (estate.root / path).symlink_to(there, target_is_directory=True)
    return Tampering("replace a folder by a link", (path,))


def _replace_by_folder(estate: Estate, chooser: random.Random) -> Tampering:
    path = _a_file(estate, chooser)
    (estate.root / path).unlink()
    (estate.root / path).mkdir()
    if chooser.random() < 0.5:
        estate.write(f"{path}/inside", b"x")
    return Tampering("replace a file by a folder", (path,))


def _replace_by_pipe(estate: Estate, chooser: random.Random) -> Tampering:
    path = _a_file(estate, chooser)
    (estate.root / path).unlink()
    os.mkfifo(estate.root / path)
    return Tampering("replace a file by a pipe", (path,))


def _add_file(estate: Estate, chooser: random.Random) -> Tampering | None:
    folder = chooser.choice([_a_folder(estate, chooser), "."])
    name = chooser.choice(["notes.txt", ".DS_Store", "a.part", "00000099.dsse.json", "lock"])
    target = PurePosixPath(folder, name).as_posix()
    if not _is_free(estate, target):
        return None
    estate.write(target, chooser.choice([b"", b"x", b"{}"]))
    return Tampering("add a file", (target,))


def _add_folder(estate: Estate, chooser: random.Random) -> Tampering | None:
    folder = chooser.choice([_a_folder(estate, chooser), "."])
    target = PurePosixPath(folder, chooser.choice(["empty", ".git", "00000099.dsse.json"]))
    if not _is_free(estate, target.as_posix()):
        return None
    (estate.root / target).mkdir()
    return Tampering("add an empty folder", (target.as_posix(),))


BYTES: tuple[Tamper, ...] = (
    *(
        _changing(kind, change)
        for kind, change in (
            ("flip a bit", _flip_bit),
            ("flip a bit", _flip_bit),
            ("set a byte", _set_byte),
            ("truncate", _truncate),
            ("drop the last byte", _drop_last_byte),
            ("cut out bytes", _cut_out),
            ("append", _append),
            ("insert", _insert),
            ("repeat a part", _repeat_part),
            ("exchange two parts", _exchange_parts),
            ("empty", _empty),
            ("spell JSON otherwise", _other_spelling),
        )
    ),
    _delete,
    _swap,
    _swap_alike,
    _overwrite,
)
"""What can be done to the content of any file."""

ANY_FILE: tuple[Tamper, ...] = (
    *BYTES,
    _delete_folder,
    _swap_folders,
    _rename,
    _move,
    _duplicate,
    _rename_folder,
    _duplicate_folder,
    _replace_by_link,
    _replace_folder_by_link,
    _replace_by_folder,
    _replace_by_pipe,
    _add_file,
    _add_folder,
)
"""What can be done to any folder of files, whatever they are."""


# ------------------------------------------------------------------------------------ records


def _segments(estate: Estate) -> list[str]:
    """The files with captures: compressed in a store, plain in a bundle."""
    ends = (".jsonl", ".jsonl.zst")
    return [path for path in estate.files if "/captures/" in path and path.endswith(ends)]


def _on_records(kind: str, change: Callable[[list[bytes], random.Random], list[bytes]]) -> Tamper:
    """Change the records of a segment and compress them again, as we do."""

    def tamper(estate: Estate, chooser: random.Random) -> Tampering | None:
        path = chooser.choice(_segments(estate))
        is_plain = path.endswith(".jsonl")
        data = estate.bytes_of(path)
        before = data.splitlines() if is_plain else _unpacked(data)
        after = change(list(before), chooser)
        if after == before:
            return None
        text = b"".join(line + b"\n" for line in after)
        estate.write(path, text if is_plain else _packed(after))
        return Tampering(kind, (path,), record=_first_difference(before, after))

    return tamper


def _unpacked(data: bytes) -> list[bytes]:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()


def _packed(lines: Sequence[bytes], level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level).compress(b"".join(line + b"\n" for line in lines))


def _first_difference(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    pairs = zip(before, after, strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
    return 1 + (min(len(before), len(after)) if same is None else same)


def _alter(lines: list[bytes], chooser: random.Random) -> list[bytes]:
    at = chooser.randrange(len(lines))
    value = orjson.loads(lines[at])
    key = chooser.choice(sorted(value))
    value[key] = chooser.choice(["", "200", 200, [], value[key]])
    lines[at] = canonical_json(value)
    return lines


def _remove(lines: list[bytes], chooser: random.Random) -> list[bytes]:
    del lines[chooser.randrange(len(lines))]
    return lines


def _double(lines: list[bytes], chooser: random.Random) -> list[bytes]:
    at = chooser.randrange(len(lines))
    return [*lines[: at + 1], *lines[at:]]


def _reorder(lines: list[bytes], chooser: random.Random) -> list[bytes]:
    chooser.shuffle(lines)
    return lines


def _add_record(lines: list[bytes], chooser: random.Random) -> list[bytes]:
    lines.insert(chooser.randint(0, len(lines)), chooser.choice([b"", b"{}", b"\0"]))
    return lines


def _pack_again(estate: Estate, chooser: random.Random) -> Tampering:
    path = chooser.choice(_segments(estate))
    estate.write(path, _packed(_unpacked(estate.bytes_of(path)), level=chooser.choice([1, 7, 19])))
    return Tampering("compress a segment again", (path,))


def _two_frames(estate: Estate, chooser: random.Random) -> Tampering:
    path = chooser.choice(_segments(estate))
    lines = _unpacked(estate.bytes_of(path))
    at = chooser.randint(0, len(lines))
    estate.write(path, _packed(lines[:at]) + _packed(lines[at:]))
    return Tampering("split a segment into two frames", (path,))


def _alter_with_leaf(estate: Estate, chooser: random.Random) -> Tampering:
    """Alter a record and its leaf hash with it: then the leaves are not those that were signed."""
    path = chooser.choice([p for p in estate.files if p.endswith("/records.bin")])
    data = estate.bytes_of(path)
    at = 32 * chooser.randrange(len(data) // 32)
    estate.write(path, data[:at] + chooser.randbytes(32) + data[at + 32 :])
    return Tampering("replace a leaf hash", (path,))


# ---------------------------------------------------------------- envelopes: manifests and log


def _envelopes(estate: Estate) -> list[str]:
    return [path for path in estate.files if path.endswith(".dsse.json")]


def _on_envelope(kind: str, change: Callable[[Any, random.Random], Any]) -> Tamper:
    """Change an envelope as JSON and write it in the very form that we write."""

    def tamper(estate: Estate, chooser: random.Random) -> Tampering | None:
        path = chooser.choice(_envelopes(estate))
        value = change(orjson.loads(estate.bytes_of(path)), chooser)
        estate.write(path, canonical_json(value))
        return Tampering(kind, (path,))

    return tamper


def _on_payload(kind: str, change: Callable[[Any, random.Random], Any]) -> Tamper:
    def envelope(value: Any, chooser: random.Random) -> Any:
        payload = change(orjson.loads(base64.b64decode(value["payload"])), chooser)
        value["payload"] = base64.b64encode(canonical_json(payload)).decode()
        return value

    return _on_envelope(kind, envelope)


def _change_a_value(value: Any, chooser: random.Random) -> Any:
    """Change one number or text, however deep: what a person would do who lies."""
    if isinstance(value, dict) and value:
        key = chooser.choice(sorted(value))
        return {**value, key: _change_a_value(value[key], chooser)}
    if isinstance(value, list) and value:
        at = chooser.randrange(len(value))
        return [*value[:at], _change_a_value(value[at], chooser), *value[at + 1 :]]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + chooser.choice([-1, 1, 1000])
    return f"{value}x" if isinstance(value, str) else "x"


def _drop_a_member(value: Any, chooser: random.Random) -> Any:
    value.pop(chooser.choice(sorted(value)))
    return value


def _add_a_member(value: Any, _: random.Random) -> Any:
    return {**value, "note": "unsigned"}


def _strip_signatures(value: Any, chooser: random.Random) -> Any:
    value["signatures"].pop(chooser.randrange(len(value["signatures"])))
    return value


def _reverse_signatures(value: Any, _: random.Random) -> Any:
    value["signatures"].reverse()
    return value


def _repeat_a_signature(value: Any, _: random.Random) -> Any:
    value["signatures"] *= 2
    return value


def _add_to_a_signature(value: Any, chooser: random.Random) -> Any:
    """Put something unsigned where readers would see it beside the signature."""
    chooser.choice(value["signatures"])["reviewed"] = "by the auditor"
    return value


def _name_another_key(value: Any, chooser: random.Random) -> Any:
    chooser.choice(value["signatures"])["keyid"] = new_key().certificate.fingerprint
    return value


def _padding_bit(value: Any, chooser: random.Random) -> Any:
    """Change a bit of base64 that decoders ignore: the value is the same, the bytes are not."""
    holder: Any = chooser.choice([value, value["signatures"][0]])
    name = "payload" if holder is value else "sig"
    text: str = holder[name]
    if text.endswith("="):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        body = text.rstrip("=")
        other = letters[letters.index(body[-1]) ^ 1]
        holder[name] = body[:-1] + other + "=" * (len(text) - len(body))
    return value


def _other_form(value: Any, chooser: random.Random) -> Any:
    """Of an ECDSA signature (r, s), (r, n - s) is one as well: whoever sees one can make it."""
    holder = chooser.choice(value["signatures"])
    r, s = decode_dss_signature(base64.b64decode(holder["sig"]))
    holder["sig"] = base64.b64encode(encode_dss_signature(r, _ORDER - s)).decode()
    return value


def _signed_by_a_forger(estate: Estate, chooser: random.Random) -> Tampering:
    """Change what an envelope says, sign it with another key and put its certificate there."""
    forger = new_key()
    path = chooser.choice(_envelopes(estate))
    envelope = Envelope.from_dict(orjson.loads(estate.bytes_of(path)))
    payload = _change_a_value(orjson.loads(envelope.payload), chooser)
    forged = Envelope(canonical_json(payload), envelope.payload_type, {})
    forged.sign(forger.signer)
    estate.write(path, canonical_json(forged.to_dict()))
    return Tampering("sign as a forger", (path, _put_certificate(estate, forger)))


def _signed_by_a_key_of_the_log(estate: Estate, chooser: random.Random) -> Tampering:
    """Whoever has a key changes a manifest and signs it: the log still names the old one."""
    manifests = [path for path in _envelopes(estate) if path.endswith(MANIFEST_NAME)]
    path, key = chooser.choice(manifests), chooser.choice(estate.keys)
    envelope = Envelope.from_dict(orjson.loads(estate.bytes_of(path)))
    payload = _change_a_value(orjson.loads(envelope.payload), chooser)
    forged = Envelope(canonical_json(payload), envelope.payload_type, {})
    forged.sign(key.signer)
    estate.write(path, canonical_json(forged.to_dict()))
    return Tampering("sign a changed manifest with the real key", (path,))


def _put_certificate(estate: Estate, key: SigningKey) -> str:
    path = f"certificates/{key.certificate.fingerprint}.pem"
    estate.write(path, key.certificate.pem)
    return path


# ------------------------------------------------------------------------------------- history


def _log_length(estate: Estate) -> int:
    return sum(path.startswith("log/") for path in estate.files)


def _drop_last_records(estate: Estate, chooser: random.Random) -> Tampering:
    """Drop the end of the log: what it named then belongs to nobody."""
    length = _log_length(estate)
    kept = chooser.randint(0, length - 1)
    lost = [read_record(at, estate.bytes_of(record_name(at))) for at in range(kept, length)]
    for record in lost:
        (estate.root / record_name(record.index)).unlink()
    named = tuple(
        path for path in (*estate.parts, *estate.files) if any(_is_of(path, r.id) for r in lost)
    )
    return Tampering("drop the end of the log", any_of=named)


def _is_of(path: str, identifier: str) -> bool:
    return PurePosixPath(path).name.removesuffix(".pem").removesuffix(".json") == identifier


def _go_back(estate: Estate, _: random.Random) -> Tampering:
    """Put back the whole store as it was: consistent, but a kept checkpoint knows of more."""
    _become(estate, "before the second snapshot")
    return Tampering("go back in time", ("log",), trust=_since(estate))


def _rewrite_history(estate: Estate, _: random.Random) -> Tampering:
    """Whoever has the key makes another second snapshot and another log from there on."""
    _become(estate, "another second snapshot")
    return Tampering("rewrite history with the real key", ("log",), trust=_since(estate))


def _forge_everything(estate: Estate, _: random.Random) -> Tampering:
    _become(estate, "a forger's")
    pinned = Trust(certificate=estate.keys[0].certificate)
    return Tampering("forge the whole store, certificate pinned", ("log",), trust=pinned)


def _since(estate: Estate) -> Trust:
    return Trust(since=estate.checkpoint, since_name="kept.txt")


def _become(estate: Estate, name: str) -> None:
    restore(estate.root, estate.states[name])


def _put_back_older(estate: Estate, chooser: random.Random) -> Tampering | None:
    """Put back one file as it is in another state of the store."""
    other = estate.states["another second snapshot"]
    differing = _differing(estate, other)
    path = chooser.choice(differing)
    estate.write(path, other[path][1])
    if path.startswith("log/"):  # it follows from what is before it, not what is after from it
        index = estate.files.index(path)
        later = [p for p in estate.files[index:] if p.startswith("log/")]
        return Tampering("put back an older record", any_of=(*later, *estate.parts))
    return Tampering("put back an older file", (path,))


def _put_back_older_folder(estate: Estate, _: random.Random) -> Tampering:
    other = estate.states["another second snapshot"]
    differing = [path for path in _differing(estate, other) if not path.startswith("log/")]
    for path in differing:
        estate.write(path, other[path][1])
    manifest = next(path for path in differing if path.endswith(MANIFEST_NAME))
    return Tampering("put back another snapshot of that name", (manifest,))


def _differing(estate: Estate, other: State) -> list[str]:
    return [
        path
        for path in estate.files
        if path in other and other[path] != estate.pristine[path] and other[path][0] == "file"
    ]


def _forge_record(estate: Estate, chooser: random.Random) -> Tampering:
    """Rewrite a record with a forger's key: entry, tree, checkpoint and envelope all fit."""
    forger = new_key()
    certificate = _put_certificate(estate, forger)
    at = chooser.randrange(_log_length(estate))
    records = [read_record(i, estate.bytes_of(record_name(i))) for i in range(at + 1)]
    entry = _change_a_value(records[at].entry, chooser)
    text = canonical_json(entry).decode()
    tree = MerkleTree([record.leaf for record in records[:-1]])
    tree.add(MerkleTree([_leaf(text)]).root())
    checkpoint = Checkpoint(records[0].checkpoint.origin, at + 1, tree.root())
    payload = {
        "entry": text,
        "checkpoint": sign_checkpoint(checkpoint, [forger]),
        "timestamp": "",
        "timestamp_missing": "",
    }
    envelope = Envelope(canonical_json(payload), records[at].envelope.payload_type, {})
    envelope.sign(forger.signer)
    estate.write(record_name(at), canonical_json(envelope.to_dict()))
    return Tampering("forge a record of the log", (record_name(at), certificate))


def _leaf(text: str) -> bytes:
    from evidence.merkle import leaf_hash

    return leaf_hash(text.encode())


# -------------------------------------------------------------- what was never taken for evidence


def _in_open_run(estate: Estate, chooser: random.Random) -> Tampering:
    paths = [p for p, (kind, _) in estate.pristine.items() if p.startswith("incomplete/")]
    path = chooser.choice(paths)
    if chooser.random() < 0.5 or not (estate.root / path).is_file():
        remove(estate.root / path)
    else:
        estate.write(path, _flip_bit(estate.bytes_of(path) or b"x", chooser))
    return Tampering("tamper with an open run", (path,), harmless=True)


def _announce_anything(estate: Estate, chooser: random.Random) -> Tampering:
    """An announcement that says nothing true adds nothing to the evidence."""
    text = chooser.choice(
        [b"", b"{}", b"[]", b'{"kind":1,"id":2}', b"\xff", b'{"kind":[],"id":""}']
    )
    path = f"incomplete/{chooser.randrange(1000)}.sealing.json"
    estate.write(path, text)
    return Tampering("forge an announcement", (path,), harmless=True)


def _announce_a_copy(estate: Estate, chooser: random.Random) -> Tampering:
    """A folder that the log does not name, passed off as one whose sealing was cut off."""
    import shutil

    part = chooser.choice(estate.parts)
    folder, name = part.split("/")
    kind = folder.removesuffix("s")
    shutil.copytree(estate.root / part, estate.root / folder / f"{name}-copy")
    announced = canonical_json({"kind": kind, "id": f"{name}-copy"})
    estate.write(f"incomplete/{kind}-{name}-copy.sealing.json", announced)
    return Tampering("pass a copy off as cut off", (part,), harmless=True)


def _announce_and_add(estate: Estate, chooser: random.Random) -> Tampering:
    """Hide a stray certificate behind an announcement of something else."""
    estate.write("incomplete/pack-x.sealing.json", canonical_json({"kind": "pack", "id": "x"}))
    if chooser.random() < 0.5:
        return Tampering("hide behind an announcement", (_put_certificate(estate, new_key()),))
    path = f"revocations/{sha256_hex(chooser.randbytes(4))}.json"
    estate.write(path, b"{}")
    return Tampering("hide behind an announcement", (path,))


RECORDS: tuple[Tamper, ...] = (
    _on_records("alter a record", _alter),
    _on_records("alter a record", _alter),
    _on_records("remove a record", _remove),
    _on_records("duplicate a record", _double),
    _on_records("reorder records", _reorder),
    _on_records("add a record", _add_record),
    _alter_with_leaf,
)
"""What can be done to captures and their leaf hashes."""

ENVELOPES: tuple[Tamper, ...] = (
    _on_payload("change what is signed", _change_a_value),
    _on_payload("change what is signed", _change_a_value),
    _on_payload("drop a member of what is signed", _drop_a_member),
    _on_payload("add a member to what is signed", _add_a_member),
    _on_envelope("change an envelope's member", _change_a_value),
    _on_envelope("add a member to an envelope", _add_a_member),
    _on_envelope("strip a signature", _strip_signatures),
    _on_envelope("reverse the signatures", _reverse_signatures),
    _on_envelope("repeat a signature", _repeat_a_signature),
    _on_envelope("add to a signature", _add_to_a_signature),
    _on_envelope("name another key", _name_another_key),
    _on_envelope("change a padding bit", _padding_bit),
    _on_envelope("use a signature's other form", _other_form),
    _signed_by_a_forger,
    _signed_by_a_key_of_the_log,
)
"""What can be done to manifests and records of the log."""

STORE_TAMPERINGS: tuple[Tamper, ...] = (
    *ANY_FILE,
    *ANY_FILE,
    *RECORDS,
    *ENVELOPES,
    _pack_again,
    _two_frames,
    _forge_record,
    _drop_last_records,
    _go_back,
    _rewrite_history,
    _forge_everything,
    _put_back_older,
    _put_back_older_folder,
    _in_open_run,
    _announce_anything,
    _announce_a_copy,
    _announce_and_add,
)
"""What can be done to a store."""
