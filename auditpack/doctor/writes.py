"""Does a store take writes, and refuse a second one? The only check that leaves a trace.

The probe is one small object below `incomplete/`, which is never evidence, and is removed again.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator

from auditpack.doctor.finding import Finding, failed, ok, problem, warning
from evidence.errors import StoreError
from evidence.objects import DISCARDABLE, ObjectExistsError, Objects

PROBE = b"auditpack doctor: may this be written?\n"
SUBJECT = "writes"

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What link(2), which writes of a folder end with, says on a file system without hard links."""


def check_writes(
    objects: Objects, look: Callable[[str], Iterator[Finding]] = lambda _: iter(())
) -> Iterator[Finding]:
    """Create the probe twice, let `look` see it (by its name) while it is there, and remove it."""
    name = f"{DISCARDABLE}doctor-{secrets.token_hex(8)}"
    try:
        objects.create(name, PROBE)
    except StoreError as error:
        yield _not_written(error)
        return
    try:
        yield from _second_write(objects, name)
        yield from look(name)
    finally:
        objects.discard(name)
    if any(info.name == name for info in objects.list(name)):
        yield warning(
            SUBJECT,
            f"the probe {name} could not be removed again",
            "It is not evidence and does no harm; the store may be one that never lets go.",
        )


def _not_written(error: StoreError) -> Finding:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _NO_LINKS:
        return problem(
            SUBJECT,
            f"the file system has no hard links, which every write ends with ({error.where})",
            "Put the store on another file system: exFAT, FAT and some network shares have none.",
        )
    return failed(SUBJECT, error)


def _second_write(objects: Objects, name: str) -> Iterator[Finding]:
    try:
        objects.create(name, b"a second write")
    except ObjectExistsError:
        if objects.read(name) == PROBE:
            yield ok(SUBJECT, "written once, and a second write of the same name is refused")
        else:
            yield problem(
                SUBJECT,
                "what was written is not what is read back",
                "Use another store.",
            )
    except StoreError as error:
        yield failed(SUBJECT, error)
    else:
        yield problem(
            SUBJECT,
            "a second write of the same name is not refused: two runs at once could overwrite"
            " each other's evidence",
            "Use a service with conditional writes (If-None-Match), or another store.",
        )
