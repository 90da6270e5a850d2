"""The audit pack: what is in the PDF, what is attached, and that anyone can verify it."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from pack_store import CHECKS, NOW, PACK_SIGNED, Bucket, Built, build_store
from site_store import declared_not_applicable
from support_store import sealer_of

from evidence.keys import make_signing_key
from evidence.manifest import read_manifest
from evidence.store import certificate_name
from evidence.verify import Trust, verify_store
from reports import charts
from reports.dates import day, moment
from reports.pack import make_pack, next_pack_id, render_pack
from reports.pack.attachments import attach_evidence
from reports.pack.context import build_context
from reports.pack.errors import DEBIAN_PACKAGES, MissingLibrariesError, PackError
from reports.pack.logged import Logged, logged
from reports.pack.render import _bundled_files_only, _weasyprint, render_html, render_pdf
from reports.pack.sections import PER_CHECK, PER_PACK, resources_per_check
from reports.pack.text import printable
from reports.pack.verifying import LOG, LONGEST_LINE, steps

HOSTILE = "<script>alert(1)</script>"
LONG = "a-very-long-name-" * 12
ATTACHED = [
    "assessment-log-entry.json",
    "assessment-manifest.dsse.json",
    "assessment.json",
    "assessment.tlog-proof",
    "certificate.pem",
    "checkpoint.txt",
    "findings.csv",
    "gaps.jsonl",
    "how-to-verify.txt",
    "snapshot-log-entry.json",
    "snapshot-manifest.dsse.json",
    "snapshot.tlog-proof",
]
INSTRUCTIONS = str(ATTACHED.index("how-to-verify.txt") + 1)
BUCKETS = [
    Bucket("ledger"),
    Bucket("archive", algorithm="NONE", owner="platform"),
    Bucket("secret", algorithm=None),
    Bucket(HOSTILE, algorithm="NONE", owner="=cmd|'/c calc'!A1"),
    Bucket("資料-\u202eevil", algorithm="NONE"),
    Bucket("two\nlines; echo pwned", algorithm="NONE", versioning="Disabled"),
    Bucket(LONG, algorithm="NONE"),
]


@dataclass(frozen=True)
class Pack:
    """A pack that was made, with the text of its pages."""

    built: Built
    path: Path
    text: str

    @property
    def words(self) -> str:
        """The text with all white space collapsed."""
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    built = build_store(tmp_path_factory.mktemp("pack") / "store", BUCKETS)
    path = make_pack(built.view(), built.store, built.sealer)
    return Pack(built, path, run(["pdftotext", "-layout", str(path), "-"]))


def run(command: Sequence[str], **more: Any) -> str:
    """Run a command that must succeed; return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def log_of(pack: Pack) -> Logged:
    """What the log said when the pack was made."""
    return logged(pack.built.view(), pack.built.store, pack.path.parent.name)


def html_of(built: Built) -> str:
    context = build_context(built.view(), "pack", built.key.certificate, (), ())
    return render_html(context)


def test_what_the_company_says_does_not_apply_is_shown_with_its_reason(pack: Pack) -> None:
    view = declared_not_applicable(pack.built.view(), "1.1", "We have <none> of these.")
    context = build_context(view, "pack", pack.built.key.certificate, (), ())
    page = render_html(context)
    shown = page.partition('<div class="id">1.1</div>')[2].partition('<div class="id">')[0]
    assert "Declared not applicable: its findings do not count here." in shown
    assert "We have &lt;none&gt; of these." in shown
    assert "Evidence that people must bring" not in shown


# The signature


def test_signature_is_valid_and_covers_the_whole_document(pack: Pack) -> None:
    found = run(["pdfsig", str(pack.path)], env={**os.environ, "TZ": "UTC"})
    assert "Signature Validation: Signature is Valid." in found
    assert "Total document signed" in found
    assert "Signature Type: ETSI.CAdES.detached" in found
    assert "Signer Certificate Common Name: Halden Labs audit evidence" in found
    assert "Signing Time: Jan 08 2027 14:05:09" in found


def test_signature_certifies_and_allows_no_changes(pack: Pack) -> None:
    with pikepdf.open(pack.path) as pdf:
        signature = pdf.Root.Perms.DocMDP
        assert signature.Reference[0].TransformParams.P == 1
        assert signature.M == "D:20270108140509Z"
        assert "2026-10-01 to 2026-12-31" in str(signature.Reason)
        assert pack.built.key.certificate.fingerprint in str(signature.ContactInfo)


def test_one_changed_byte_breaks_the_signature(pack: Pack, tmp_path: Path) -> None:
    data = bytearray(pack.path.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.pdf"
    changed.write_bytes(data)
    done = subprocess.run(["pdfsig", str(changed)], capture_output=True, text=True, check=False)
    assert "Signature is Valid" not in done.stdout


def test_signing_adds_nothing_but_the_signature(pack: Pack) -> None:
    built = pack.built
    unsigned = render_pack(built.view(), built.store, built.key.certificate, pack.path.parent.name)
    signed = pack.path.read_bytes()
    assert signed.startswith(unsigned.pdf)
    with pikepdf.open(pack.path) as pdf:
        assert pdf.docinfo["/ModDate"] == "D:20261124091244Z"


# PDF/A-3 and its attachments


def test_pdf_says_that_it_is_pdf_a_3b(pack: Pack) -> None:
    with pikepdf.open(pack.path) as pdf, pdf.open_metadata() as metadata:
        assert metadata.pdfa_status == "3B"
        assert pdf.pdf_version == "1.7"
        assert "/Version" not in pdf.Root or pdf.Root.Version == "/1.7"
        assert pdf.Root.OutputIntents[0].S == "/GTS_PDFA1"
        assert pdf.Root.Lang == "en"
        assert pdf.Root.MarkInfo.Marked
        widget = pdf.Root.AcroForm.Fields[0]
        assert int(widget.F) & 4, "an annotation of PDF/A is printed"
        assert list(widget.Rect) == [0, 0, 0, 0]


def test_only_bundled_fonts_are_embedded(pack: Pack) -> None:
    lines = run(["pdffonts", str(pack.path)]).splitlines()[2:]
    names = {line.split()[0].partition("+")[2] for line in lines}
    assert names == {"Pack-Sans", "Pack-Sans-Semi-Bold", "Pack-Mono"}
    assert all(" yes yes yes " in line for line in lines)


def test_attachments_are_associated_files_whose_digests_are_printed(pack: Pack) -> None:
    built = pack.built
    listed = run(["pdfdetach", "-list", str(pack.path)])
    assert [line.split(": ")[1] for line in listed.splitlines()[1:]] == ATTACHED
    with pikepdf.open(pack.path) as pdf:
        files = {str(entry.UF): entry for entry in pdf.Root.AF}
        assert sorted(files) == ATTACHED
        assert len(pdf.Root.AF) == len(ATTACHED)
        assert files["findings.csv"].AFRelationship == "/Data"
        assert files["snapshot-manifest.dsse.json"].AFRelationship == "/Source"
        assert files["certificate.pem"].AFRelationship == "/Supplement"
        assert files["gaps.jsonl"].EF.F.Subtype == "/application/jsonl"
    for file in attach_evidence(built.view(), built.store, built.key.certificate, log_of(pack)):
        with pikepdf.open(pack.path) as pdf:
            assert pdf.attachments[file.name].get_file().read_bytes() == file.data
        assert file.sha256 in pack.text, file.name


def test_findings_are_attached_in_full_and_harmless_in_a_spreadsheet(pack: Pack) -> None:
    with pikepdf.open(pack.path) as pdf:
        text = pdf.attachments["findings.csv"].get_file().read_bytes().decode()
    assert text.count("aws_s3_bucket#") >= 2 * len(BUCKETS)
    assert "資料-\u202eevil" in text, "attachments have names unchanged"
    assert ",'=cmd" in text


# The pages


def test_chapters_come_in_order(pack: Pack) -> None:
    wanted = [
        "Executive summary",
        "Scope and method",
        "Demo Framework",
        "Failures",
        "Not evidenced",
        "Gaps in what was read",
        "Exceptions",
        "How to verify this pack",
        "Glossary",
        "Annex: all checks",
    ]
    with pikepdf.open(pack.path) as pdf, pdf.open_outline() as outline:
        titles = [item.title for item in outline.root]
    assert [title.lstrip("0123456789 ") for title in titles] == ["Contents", *wanted]
    contents = re.findall(r"^\s*(?:\d+\s+)?(\S.*?) *\.{5,} *(\d+)", pack.text, re.MULTILINE)
    pages = {title: int(page) for title, page in contents}
    numbers = [pages[title] for title in wanted]
    assert numbers == sorted(numbers)


def test_pages_say_what_was_found(pack: Pack) -> None:
    words = pack.words
    assert "Halden Labs 1 October 2026 to 31 December 2026" in words
    assert "Audit evidence pack" in words
    assert pack.built.key.certificate.fingerprint in words
    assert pack.built.assessment.manifest_digest in words
    assert "24 November 2026, 09:12:44 UTC" in words
    assert "production (111122223333)" in words
    assert "default encryption is NONE" in words
    assert "owner platform" in words
    assert re.search(r"aws/111122223333/global/aws_s3_bucket#\d+", words)
    assert "encryption was not observed (denied AccessDenied)" in words
    assert "the listing was not observed (denied AccessDenied)" in words
    assert "No exceptions are recorded." in words
    assert "Access is reviewed" in words
    assert "Control Owners review access at regular intervals" in words
    assert "Policy on: Owners review access" not in words, "a benchmark needs only its own"
    assert "Weights: critical 10, high 5, medium 3, low 1, informational 0" in words
    assert re.search(r"Page 2 of \d+", words)


def test_names_from_a_cloud_stay_text(pack: Pack) -> None:
    assert "<script>alert(1)</script>" in pack.words.replace("> ", ">")
    html = html_of(pack.built)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "‹U+8CC7 U+6599›-‹U+202E›evil" in html
    assert "\u202e" not in pack.text
    assert LONG[:60] in html


def test_same_input_gives_same_bytes(pack: Pack) -> None:
    """Also in another process, with other hashes, another time zone and another language."""
    built = pack.built
    pack_id = pack.path.parent.name
    first = render_pack(built.view(), built.store, built.key.certificate, pack_id)
    again = render_pack(built.view(), built.store, built.key.certificate, pack_id)
    assert first.pdf == again.pdf
    script = (
        "import sys, hashlib; from pathlib import Path\n"
        "from evidence.store import Store; from evidence.snapshot import Snapshot\n"
        "from evidence.keys import Certificate; from controls.assessment import Assessment\n"
        "from reports.view import build_view; from reports.pack import render_pack\n"
        "store = Store.open(Path(sys.argv[1])); assessment = Assessment.open(store)\n"
        "certificate = Certificate.from_pem(next((store.root / 'certificates').iterdir())"
        ".read_bytes())\n"
        "view = build_view(assessment, Snapshot.open(store), organisation='Halden Labs',"
        " period=('2026-10-01', '2026-12-31'), tool_version='0.1.0',"
        " signer=certificate.subject, fingerprint=certificate.fingerprint)\n"
        "pdf = render_pack(view, store, certificate, sys.argv[2]).pdf\n"
        "print(hashlib.sha256(pdf).hexdigest())"
    )
    elsewhere = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    elsewhere["PYTHONPATH"] = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", script, str(built.store.root), pack_id]
    assert run(command, env=elsewhere).strip() == hashlib.sha256(first.pdf).hexdigest()


def test_layout_has_no_warnings(pack: Pack, caplog: pytest.LogCaptureFixture) -> None:
    built = pack.built
    logger = logging.getLogger("weasyprint")
    logger.addHandler(caplog.handler)
    try:
        render_pdf(build_context(built.view(), "pack", built.key.certificate, (), ()))
    finally:
        logger.removeHandler(caplog.handler)
    assert [record.getMessage() for record in caplog.records if record.levelno > 20] == []


# Verifying by hand


def commands_of(pack: Pack) -> list[str]:
    built = pack.built
    attached = attach_evidence(built.view(), built.store, built.key.certificate, log_of(pack))
    names = dict.fromkeys(("snapshot", "assessment", LOG), "certificate.pem")
    found = steps(built.view(), pack.path.parent.name, attached, names)
    return [line for step in found for line in step.commands]


def bash(script: str, folder: Path) -> str:
    return run(["bash", "-euo", "pipefail", "-c", script], cwd=folder)


def test_instructions_work_as_printed(pack: Pack) -> None:
    lines = commands_of(pack)
    assert max(len(line) for line in lines) <= LONGEST_LINE
    for line in lines:
        assert " ".join(line.split()) in pack.words, line
    printed = bash("\n".join(lines), pack.built.store.root)
    assert "Signature is Valid." in printed
    assert printed.count(": OK") == len(ATTACHED) - 1
    assert pack.built.key.certificate.fingerprint in printed
    assert printed.count("Verified OK") == 3
    assert "snapshot unchanged" in printed
    assert "assessment unchanged" in printed
    digests = re.findall(r"^([0-9a-f]{64})(?:  -)?$", printed, re.MULTILINE)
    assert digests[0] == pack.built.key.certificate.fingerprint
    assert len(digests) == 11
    assert digests[1::2] == digests[2::2], "each pair of digests is equal"
    assert '"body": "<encryption>NONE</encryption>"' in printed


def test_the_log_is_explained_and_its_checkpoint_can_be_held_against_it(pack: Pack) -> None:
    """The pack's own entry came after: what is attached is an old checkpoint of the log by now."""
    log, store = log_of(pack), pack.built.store
    with pikepdf.open(pack.path) as pdf:
        note = pdf.attachments["checkpoint.txt"].get_file().read_bytes().decode()
    size = store.record("pack", pack.path.parent.name).index
    assert note == store.log.records()[size - 1].note == log.note
    for text in (log.checkpoint.origin, log.checkpoint.root.hex(), "append-only", "--since"):
        assert text in pack.words
    report = verify_store(store, trust=Trust(since=note, since_name="checkpoint.txt"))
    assert report.ok
    assert report.since == f"{size} entries, root {log.checkpoint.root.hex()}"


def test_attached_instructions_work_and_names_do_not_reach_the_shell(
    pack: Pack, tmp_path: Path
) -> None:
    run(["pdfdetach", "-save", INSTRUCTIONS, "-o", str(tmp_path / "verify.sh"), str(pack.path)])
    script = (tmp_path / "verify.sh").read_text()
    printed = bash(script, pack.built.store.root)
    assert printed.count("Verified OK") == 3
    hostile = build_store(tmp_path / "store", [Bucket("x\necho pwned\n", algorithm="NONE")])
    path = make_pack(hostile.view(), hostile.store, hostile.sealer)
    run(["pdfdetach", "-save", INSTRUCTIONS, "-o", str(tmp_path / "hostile.sh"), str(path)])
    text = (tmp_path / "hostile.sh").read_text()
    assert "echo pwned" in text
    assert not any(line.startswith("echo pwned") for line in text.splitlines())


def test_instructions_work_on_more_records_than_a_pipe_holds(tmp_path: Path) -> None:
    """2,048 hashes of 32 bytes fill a pipe: a command that stops reading early would fail."""
    buckets = [Bucket(f"bucket-{number}", algorithm="NONE") for number in range(1_200)]
    built = build_store(tmp_path / "store", buckets)
    path = make_pack(built.view(), built.store, built.sealer)
    printed = bash("\n".join(commands_of(Pack(built, path, ""))), built.store.root)
    digests = re.findall(r"^([0-9a-f]{64})(?:  -)?$", printed, re.MULTILINE)
    assert digests[1::2] == digests[2::2]
    assert built.snapshot.predicate["merkle_tree"]["root"] == digests[-1]


def test_instructions_find_a_changed_record(pack: Pack, tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [Bucket("one", algorithm="NONE")])
    path = make_pack(built.view(), built.store, built.sealer)
    changed = Pack(built, path, "")
    lines = commands_of(changed)
    segment = built.snapshot.segment("aws/111122223333/global/aws_s3_bucket")
    segment.write_bytes(segment.read_bytes() + b"x")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
        cwd=built.store.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "aws_s3_bucket.jsonl.zst: FAILED" in done.stdout
    assert "snapshot unchanged" not in done.stdout


# The store


def test_pack_is_sealed_and_the_store_verifies(pack: Pack) -> None:
    manifest = read_manifest(pack.path.parent)
    assert manifest.kind == "pack"
    assert set(manifest.files) == {"pack.pdf"}
    assert manifest.predicate["assessment"] == {
        "id": pack.built.assessment.id,
        "manifest_sha256": pack.built.assessment.manifest_digest,
    }
    assert manifest.predicate["period"] == {"from": "2026-10-01", "to": "2026-12-31"}
    with pikepdf.open(pack.path) as pdf:
        assert manifest.predicate["pages"] == len(pdf.pages)
    report = verify_store(pack.built.store)
    assert report.ok, report.faults
    assert not list(pack.built.store.incomplete().glob("pack-*"))


def test_next_pack_follows_the_one_before(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [Bucket("one")])
    first = make_pack(built.view(), built.store, built.sealer)
    second = make_pack(built.view(), built.store, built.sealer)
    assert [first.parent.name, second.parent.name] == built.store.sealed("pack")
    assert second.parent.name == f"{built.assessment.id}.002"
    assert next_pack_id(built.store, built.assessment.id) == f"{built.assessment.id}.003"
    before = read_manifest(second.parent).predicate["log_before"]
    assert before["size"] == built.store.record("pack", first.parent.name).index + 1
    assert verify_store(built.store).ok


def test_manifests_of_another_key_bring_their_certificate(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [Bucket("one")])
    other = make_signing_key("Halden Labs", NOW)
    built.sealer.add_key(built.store, other)
    path = make_pack(built.view(), built.store, sealer_of(other, PACK_SIGNED))
    name = f"certificate-{built.key.certificate.fingerprint[:16]}.pem"
    with pikepdf.open(path) as pdf:
        assert pdf.attachments[name].get_file().read_bytes() == built.key.certificate.pem
    script = run(["pdfdetach", "-list", str(path)])
    assert name in script
    text = " ".join(run(["pdftotext", "-layout", str(path), "-"]).split())
    assert f"check_dsse snapshot {name}" in text


def test_missing_certificate_is_an_error(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [Bucket("one")])
    other = make_signing_key("Halden Labs", NOW)
    built.sealer.add_key(built.store, other)
    (built.store.root / certificate_name(built.key.certificate.fingerprint)).unlink()
    with pytest.raises(PackError, match="does not hold"):
        make_pack(built.view(), built.store, sealer_of(other, PACK_SIGNED))


# Extremes


def test_nothing_to_report(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [], queues_denied=False)
    html = html_of(built)
    assert "No check fails for any resource." in html
    assert "Every finding rests on evidence" in html
    assert "everything that was in scope was read" in html
    path = make_pack(built.view(), built.store, built.sealer)
    assert "Signature is Valid." in run(["pdfsig", str(path)])


def test_everything_fails_and_lists_are_capped(tmp_path: Path) -> None:
    buckets = [Bucket(f"bucket-{n:04d}", "NONE", "Disabled") for n in range(1_200)]
    built = build_store(tmp_path / "store", buckets, checks=CHECKS[:2])
    html = html_of(built)
    assert html.count('class="resource"') == 2 * PER_CHECK
    assert html.count("and 1,175 more in") == 2
    assert "not satisfied" in html


def test_redacted_record_is_explained(tmp_path: Path) -> None:
    built = build_store(tmp_path / "store", [], redact=True)
    found = steps(built.view(), "pack", (), {"snapshot": "certificate.pem"})
    step = next(step for step in found if "own answer" in step.title)
    assert "jq .redactions" in step.commands[-1]
    assert "secrets were taken out" in step.expect


def test_fewer_resources_a_check_when_many_checks_fail() -> None:
    assert resources_per_check([1_000] * 10) == PER_CHECK
    assert resources_per_check([1_000] * 100) == 10
    assert resources_per_check([1_000] * 1_000) == 5
    assert resources_per_check([3] * (PER_PACK // 3)) == PER_CHECK


# Parts


def test_only_bundled_fonts_can_be_fetched() -> None:
    fetcher = _bundled_files_only()
    assert fetcher.fetch("auditpack:fonts/Inter-Regular.ttf").read()[:4] == b"\x00\x01\x00\x00"
    for url in ("file:///etc/passwd", "http://localhost/", "auditpack:fonts/../keys.py", "data:,x"):
        with pytest.raises(ValueError, match="not a part of the pack"):
            fetcher.fetch(url)


def test_missing_libraries_name_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(MissingLibrariesError) as caught:
        _weasyprint()
    assert all(name in caught.value.mend for name in DEBIAN_PACKAGES)


def test_importing_the_pack_is_cheap() -> None:
    script = (
        "import sys, reports.pack\n"
        "print([n for n in ('weasyprint', 'pyhanko', 'jinja2', 'fontTools') if n in sys.modules])"
    )
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    assert run([sys.executable, "-c", script], env=here).strip() == "[]"


def test_printable_text() -> None:
    assert printable("plain") == "plain"
    assert printable("Zürich, Łódź, Αθήνα, Київ") == "Zürich, Łódź, Αθήνα, Київ"
    assert printable("a\u202eb\u200bc\x00") == "a‹U+202E›b‹U+200B›c‹U+0000›"
    assert printable("שלום") == "‹U+05E9 U+05DC U+05D5 U+05DD›"
    assert printable("🚀") == "‹U+1F680›"


def test_dates_in_words() -> None:
    assert day("2026-10-01") == "1 October 2026"
    assert day("soon") == "soon"
    assert moment("2026-11-24T10:12:44+01:00") == "24 November 2026, 09:12:44 UTC"


def test_stacked_bar_shows_every_status_that_is_there() -> None:
    counts = {"fail": 1, "pass": 10_000, "not_evidenced": 2}
    bar = charts.stacked_bar(counts, ("fail", "not_evidenced", "pass"), width=200)
    assert 'aria-label="1 fail, 2 not evidenced, 10000 pass"' in bar
    assert '<rect x="0" y="0" width="2" height="16" fill="#8c2313"/>' in bar
    assert "10000</text>" in bar
    assert "<path" in bar, "what is not evidenced is hatched"
    assert "nothing to show" in charts.stacked_bar({}, ("fail",))


def test_bars_share_a_scale() -> None:
    half = charts.stacked_bar({"pass": 50}, ("pass",), whole=100, width=200)
    assert 'width="100" height="16" fill="#5fb3a7"' in half


def test_status_colours_differ_in_greyscale() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    names = ("fail", "pass", "not_evidenced", "not_applicable")
    found = sorted(lightness(charts.STYLES[name].fill) for name in names)
    steps_between = [after - before for before, after in itertools.pairwise(found)]
    assert min(steps_between[:2]) > 40
    assert steps_between[2] > 5, "and what is not evidenced is hatched"
