"""How to verify a pack without auditpack: commands from a finding to the cloud's own answer.

Only poppler-utils (pdfsig, pdfdetach), openssl, coreutils, zstd, jq and python3 are used. The
tests run exactly these commands on a real store. No line is longer than `LONGEST_LINE`, so the
PDF prints each as one line and it can be copied.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from evidence.capture import PROTOBUF
from evidence.manifest import MANIFEST_NAME, PAYLOAD_TYPE
from evidence.segments import read_line, segment_path
from evidence.snapshot import LEAVES_FILE
from reports.pack.attachments import ASSESSMENT_MANIFEST, SNAPSHOT_MANIFEST, Attached
from reports.pack.text import printable
from reports.view import ReportView

LONGEST_LINE = 100
"""Characters of code that fit on a line of the page."""

LOG = "log"
"""In place of a manifest's kind: what the certificate of the checkpoint's signer is for."""

_CHECK_LOG = """\
check_log() {
python3 - "$WORK" "$1" <<'END'
import base64, hashlib, json, sys
work, kind = sys.argv[1:]
def read(name):
    return open(f"{work}/{name}", "rb").read()
def sha256(data):
    return hashlib.sha256(data).digest()
entry, manifest = read(f"{kind}-log-entry.json"), read(f"{kind}-manifest.dsse.json")
assert json.loads(entry)["manifest_sha256"] == sha256(manifest).hex(), "another manifest"
head, note = read(f"{kind}.tlog-proof").decode().split("\\n\\n", 1)
assert note.encode() == read("checkpoint.txt"), "another checkpoint"
text, signatures = note.rsplit("\\n\\n", 1)
origin, size, root = text.split("\\n")
_, index, *path = head.split("\\n")
value, first, last = sha256(b"\\0" + entry), int(index.split()[1]), int(size) - 1
for step in map(base64.b64decode, path):
    if first & 1 or first == last:
        value = sha256(b"\\1" + step + value)
        while first and not first & 1:
            first, last = first >> 1, last >> 1
    else:
        value = sha256(b"\\1" + value + step)
    first, last = first >> 1, last >> 1
assert last == 0 and value == base64.b64decode(root), "not in the log"
open(f"{work}/checkpoint.text", "w").write(text + "\\n")
signature = base64.b64decode(signatures.splitlines()[-1].split()[2])[4:]
open(f"{work}/checkpoint.sig", "wb").write(signature)
print(f"the {kind} is {index} of the log's first {size} entries")
END
}"""


@dataclass(frozen=True)
class Step:
    """One step: what it shows, the commands, and what they must print."""

    title: str
    about: str
    commands: tuple[str, ...]
    expect: str


@dataclass(frozen=True)
class Example:
    """The record that the instructions follow. `about` says whose verdict rests on it."""

    about: str
    reference: str
    segment: str
    line: int
    leaf: int
    body_is: str


def find_example(view: ReportView) -> Example | None:
    """Return the first failing finding's first capture; else any capture; None if there is none."""
    for check in view.checks:
        for finding in check.failures:
            if finding.captures:
                name = finding.resource_name or finding.resource_id
                about = f"{finding.check_id} fails for {name}"
                return _example(view, about, finding.captures[0])
    for unit in view.units:
        if unit.captures:
            about = f"the listing of {unit.key.resource_type} in {unit.key.region}"
            return _example(view, about, unit.captures[0])
    return None


def _example(view: ReportView, about: str, reference: str) -> Example:
    unit_path, _, number = reference.rpartition("#")
    segment = segment_path(unit_path)
    before = 0
    for entry in view.snapshot.predicate["segments"]:
        if entry["path"] == segment:
            break
        before += entry["records"]
    record = orjson.loads(read_line(view.snapshot.segment(unit_path), int(number)))
    return Example(
        about, reference, segment, int(number), before + int(number) - 1, record["body_is"]
    )


def steps(
    view: ReportView,
    pack_id: str,
    attachments: Sequence[Attached],
    certificates: Mapping[str, str],
) -> list[Step]:
    """Return the steps. `certificates` names the attached certificate of each manifest's signer by
    kind, and under `LOG` that of the checkpoint's.
    """
    found = [
        _signature_step(pack_id),
        _attachments_step(attachments),
        _certificate_step(sorted(set(certificates.values()))),
        _manifests_step({kind: name for kind, name in certificates.items() if kind != LOG}),
        *([_log_step(certificates[LOG])] if LOG in certificates else []),
        _links_step(),
        _files_step(view),
    ]
    example = find_example(view)
    if example is not None:
        found.extend([_record_step(view, example), _tree_step(example)])
    return found


def _assign(name: str, value: str) -> list[str]:
    """Return `NAME=value` for a shell, continued over lines that fit the page."""
    text = f"{name}={shlex.quote(value)}"
    if len(text) <= LONGEST_LINE or shlex.quote(value) != value:
        return [text]
    size = LONGEST_LINE - 1
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    return [*(f"{piece}\\" for piece in pieces[:-1]), pieces[-1]]


def as_text(found: Sequence[Step]) -> str:
    """Return the steps as plain text, to be attached: the words are comments of one line each.

    A resource's name may be in the words: it must not reach the shell that this is pasted into.
    """
    lines = [
        "# How to verify this pack. Run in the folder of the evidence store, step by step.",
        "# Needed: pdfsig and pdfdetach (poppler-utils), openssl, zstd, jq, python3, coreutils.",
    ]
    for number, step in enumerate(found, start=1):
        lines += ["", _comment(f"{number}. {step.title}"), _comment(step.about), *step.commands]
        lines.append(_comment(f"expected: {step.expect}"))
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    return f"# {' '.join(printable(text).split())}"


def _signature_step(pack_id: str) -> Step:
    return Step(
        "The PDF is whole and signed",
        "Run everything in the folder of the evidence store. The certificate is the organisation's"
        " own, so its issuer is unknown to your computer: step 3 says how to trust it. The signing"
        " time is what the signer states, unless a timestamp authority vouches for it: then PDF"
        " readers show that.",
        (
            "WORK=$(mktemp -d)",
            *_assign("PACK", f"packs/{pack_id}/pack.pdf"),
            'pdfsig "$PACK"',
        ),
        "“Signature is Valid.” and “Total document signed”.",
    )


def _attachments_step(attachments: Sequence[Attached]) -> Step:
    return Step(
        "The attachments are those that this page names",
        "The files attached to the PDF are saved and compared with the digests printed here.",
        (
            'pdfdetach -saveall -o "$WORK" "$PACK"',
            "(cd \"$WORK\" && sha256sum -c) <<'END'",
            *(f"{file.sha256}  {file.name}" for file in attachments),
            "END",
        ),
        "“OK” after each name.",
    )


def _certificate_step(names: Sequence[str]) -> Step:
    return Step(
        "The signer is who it should be",
        "Compare the fingerprint with the one on the cover of this pack, and with the one that the"
        " organisation gave you in another way: a call, a meeting, an earlier pack.",
        (
            f"for CERTIFICATE in {' '.join(names)}; do",
            '  openssl x509 -in "$WORK/$CERTIFICATE" -noout -subject',
            '  openssl x509 -in "$WORK/$CERTIFICATE" -noout -fingerprint -sha256 \\',
            "    | cut -d= -f2 | tr -d : | tr A-F a-f",
            "done",
        ),
        "the subject and the fingerprint that you know.",
    )


def _manifests_step(certificates: Mapping[str, str]) -> Step:
    """DSSE signs PAE(type, payload): see the DSSE protocol, v1."""
    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE}"
    calls = tuple(f"check_dsse {kind} {name}" for kind, name in sorted(certificates.items()))
    return Step(
        "The manifests are signed",
        "A manifest is a DSSE envelope: the signature is over the statement, its type and lengths.",
        (
            "check_dsse() {",
            '  jq -r .payload "$WORK/$1-manifest.dsse.json" | base64 -d > "$WORK/$1.statement"',
            '  jq -r ".signatures[0].sig" "$WORK/$1-manifest.dsse.json" \\',
            '    | base64 -d > "$WORK/$1.sig"',
            f"  {{ printf '{head} %s ' $(wc -c < \"$WORK/$1.statement\")",
            '    cat "$WORK/$1.statement"; } > "$WORK/$1.signed"',
            '  openssl x509 -in "$WORK/$2" -noout -pubkey > "$WORK/$1.key"',
            '  openssl dgst -sha256 -verify "$WORK/$1.key" -signature "$WORK/$1.sig" \\',
            '    "$WORK/$1.signed"',
            "}",
            *calls,
        ),
        "“Verified OK” twice.",
    )


def _log_step(certificate: str) -> Step:
    """C2SP tlog-proof and tlog-checkpoint; the path is climbed as RFC 9162, 2.1.3.2 says."""
    return Step(
        "Snapshot and assessment are in the log",
        "The entries' hashes, with the paths in the two proofs, lead to the root that the"
        " checkpoint signs.",
        (
            *_CHECK_LOG.split("\n"),
            "check_log assessment",
            "check_log snapshot",
            f'openssl x509 -in "$WORK/{certificate}" -noout -pubkey > "$WORK/log.key"',
            'openssl dgst -sha256 -verify "$WORK/log.key" -signature "$WORK/checkpoint.sig" \\',
            '  "$WORK/checkpoint.text"',
        ),
        "the two places in the log, and “Verified OK”.",
    )


def _links_step() -> Step:
    subject = '.subject[] | select(.name == "assessment.json") | .digest.sha256'
    return Step(
        "The assessment judges this snapshot",
        "The signed statement of the assessment names the digest of the snapshot's manifest, and"
        " that of the figures in this pack.",
        (
            'jq -r .predicate.snapshot.manifest_sha256 "$WORK/assessment.statement"',
            f'sha256sum < "$WORK/{SNAPSHOT_MANIFEST}"',
            f"jq -r '{subject}' \\",
            '  "$WORK/assessment.statement"',
            'sha256sum < "$WORK/assessment.json"',
        ),
        "the first two digests are equal, and so are the last two.",
    )


def _files_step(view: ReportView) -> Step:
    commands: list[str] = []
    folders = (
        ("snapshot", f"snapshots/{view.snapshot.id}", SNAPSHOT_MANIFEST),
        ("assessment", f"assessments/{view.assessment.id}", ASSESSMENT_MANIFEST),
    )
    for kind, folder, manifest in folders:
        commands += [
            *_assign("FOLDER", folder),
            f'cmp "$FOLDER/{MANIFEST_NAME}" "$WORK/{manifest}"',
            "jq -r '.subject[] | .digest.sha256 + \"  \" + .name' \\",
            f'  "$WORK/{kind}.statement" > "$WORK/{kind}.sums"',
            f'(cd "$FOLDER" && sha256sum --quiet -c "$WORK/{kind}.sums") \\',
            f'  && echo "{kind} unchanged"',
        ]
    return Step(
        "Every file in the store is as it was sealed",
        "The store's manifests are the attached ones; every file has the digest that they name.",
        tuple(commands),
        "“snapshot unchanged” and “assessment unchanged”, and nothing else.",
    )


def _record_step(view: ReportView, example: Example) -> Step:
    digest = {
        "as received": 'jq -j .body "$WORK/record.json" | sha256sum',
        "as received, base64": 'jq -j .body "$WORK/record.json" | base64 -d | sha256sum',
    }.get(example.body_is, 'jq .redactions "$WORK/record.json"')
    expect = "the record, then the same digest twice: these are the bytes that the cloud sent."
    if example.body_is == "redacted":
        expect = "the record; secrets were taken out of it and are listed under redactions."
    elif example.body_is.startswith(PROTOBUF):
        expect = (
            "the record, and what was taken out of it. The body says in JSON what came over the"
            " wire as a protobuf message; the digest is that message's."
        )
    return Step(
        "From a finding to the cloud's own answer",
        f"A capture reference names a segment and a line in it. For example {example.about}:"
        f" {example.reference}.",
        (
            *_assign("SNAPSHOT", f"snapshots/{view.snapshot.id}"),
            *_assign("SEGMENT", example.segment),
            f'zstd -dc "$SNAPSHOT/$SEGMENT" | sed -n {example.line}p > "$WORK/record.json"',
            'jq . "$WORK/record.json"',
            'jq -r .received_sha256 "$WORK/record.json"',
            digest,
        ),
        expect,
    )


def _tree_step(example: Example) -> Step:
    """RFC 6962, 2.1: leaves are SHA-256(0x00 || record), nodes SHA-256(0x01 || left || right)."""
    return Step(
        "That record was there when the snapshot was sealed",
        "The records are the leaves of a Merkle tree (RFC 6962) whose root the manifest names.",
        (
            "{ printf '\\000'; tr -d '\\n' < \"$WORK/record.json\"; } | sha256sum",
            f'od -An -v -tx1 -j {example.leaf * 32} -N 32 "$SNAPSHOT/{LEAVES_FILE}" \\',
            "  | tr -d ' \\n'; echo",
            f"python3 - \"$SNAPSHOT/{LEAVES_FILE}\" <<'END'",
            "import hashlib, sys",
            "def root(leaves):",
            "    if len(leaves) == 1:",
            "        return leaves[0]",
            "    half = 1 << (len(leaves) - 1).bit_length() - 1",
            "    pair = root(leaves[:half]) + root(leaves[half:])",
            '    return hashlib.sha256(b"\\x01" + pair).digest()',
            'data = open(sys.argv[1], "rb").read()',
            "print(root([data[i:i + 32] for i in range(0, len(data), 32)]).hex())",
            "END",
            'jq -r .predicate.merkle_tree.root "$WORK/snapshot.statement"',
        ),
        "the first two digests are equal (the record is a leaf), and so are the last two (root).",
    )
