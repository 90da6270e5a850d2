"""The words that the pack explains: statuses, reasons of gaps, the glossary."""

from __future__ import annotations

FINDING_ORDER = ("fail", "not_evidenced", "excepted", "pass", "not_applicable")
"""Finding statuses in the order of charts and counts: what needs a person first."""

REQUIREMENT_MEANINGS = {
    "not_satisfied": "at least one finding of its checks fails",
    "not_evidenced": "nothing fails, but something could not be read, or no check decides it and"
    " people must bring evidence",
    "satisfied": "its checks were judged on complete evidence, and none fails",
    "not_applicable": "it has checks, and there is nothing here that they concern",
}
"""What each requirement status means."""

GAP_MEANINGS = {
    "denied": "The cloud refused the call: the collecting identity lacks the permission."
    " The command auditpack permissions prints the policy that grants what is needed.",
    "not_enabled": "The service or region is not switched on in the account, so it could not"
    " answer.",
    "throttled": "The cloud kept refusing for reasons of load, also after repeated attempts."
    " Collecting again at a quieter time closes the gap.",
    "error": "The call failed in another way; the cloud's own message stands beside it.",
    "skipped": "The call was not made, because one that it builds on was not answered or the run"
    " was told to leave it out.",
    "bad_type": "The answer was not of the type that its definition promises, so it was refused"
    " instead of half believed.",
}
"""What each reason of a gap means, and what closes it."""

GLOSSARY = (
    ("Assessment", "One evaluation of one snapshot with one catalogue of checks, sealed."),
    (
        "Capture",
        "One API exchange as the cloud answered it: who asked what and when, and the body that"
        " came back, with the SHA-256 of the bytes as received. Secrets are taken out before"
        " anything is written, and what was taken out is listed.",
    ),
    (
        "Capture reference",
        "Names a capture: provider/account/region/type#line. The part before # is the segment"
        " file below captures/ in the snapshot, the number is the line in it.",
    ),
    ("Check", "A rule on one resource type. It passes, fails, does not apply or lacks evidence."),
    (
        "Control",
        "A statement of what must hold, met by checks in the clouds and by evidence that people"
        " bring. Frameworks' requirements name controls.",
    ),
    (
        "Digest, SHA-256",
        "A number of 256 bits computed from a file. Another file with the same digest cannot be"
        " made, so equal digests mean equal files.",
    ),
    (
        "Checkpoint",
        "Size and root of the log at one moment, signed. It fixes everything that was sealed until"
        " then.",
    ),
    ("DSSE", "Dead Simple Signing Envelope: the form in which manifests are signed."),
    (
        "Evidence coverage",
        "The share of findings for which there is evidence: passing and failing over passing,"
        " failing and not evidenced.",
    ),
    ("Exception", "A risk accepted by a named person until a date. Shown apart, never as passing."),
    ("Finding", "What one check says about one resource."),
    (
        "Fingerprint",
        "The SHA-256 of a certificate. It names the signer: compare it with one that you were"
        " given in another way.",
    ),
    ("Gap", "Something that should have been read and was not, with the reason."),
    (
        "Log",
        "The append-only list of everything that was ever sealed, a Merkle tree (RFC 6962).",
    ),
    (
        "Manifest",
        "The signed list of every file of a snapshot or an assessment, each with its SHA-256"
        " (an in-toto Statement).",
    ),
    (
        "Merkle tree",
        "A tree of digests over all captures (RFC 6962). Its root in the signed manifest fixes"
        " every single record.",
    ),
    (
        "Not evidenced",
        "It is not known whether a rule holds, because the evidence could not be read. It counts"
        " against the score like a failure, so taking away a permission can never raise it.",
    ),
    ("Requirement", "An item of a framework, decided by checks and by people's evidence."),
    ("Resource", "One thing in a cloud account: a bucket, a user, a database, the account itself."),
    ("Segment", "A compressed file (zstd) of captures, one JSON record a line."),
    ("Snapshot", "One run of collecting, sealed: captures, tables made from them, and gaps."),
    (
        "‹U+202E›",
        "A character in a name that is invisible, turns the direction of writing, or is not in"
        " this document's fonts, printed as its Unicode number. findings.csv has names unchanged.",
    ),
)
"""Terms and what they mean, in alphabetical order."""
