"""The command line: one group, its commands, and what happens to errors."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any, NoReturn

import click

from auditpack import __version__
from auditpack.commands.bundle import bundle
from auditpack.commands.collect import collect
from auditpack.commands.crosswalk import crosswalk
from auditpack.commands.demo import demo
from auditpack.commands.disclose import disclose
from auditpack.commands.doctor import doctor
from auditpack.commands.evaluate import evaluate
from auditpack.commands.explain import explain
from auditpack.commands.export import export
from auditpack.commands.framework import framework
from auditpack.commands.init import init
from auditpack.commands.key_changes import revoke, rotate
from auditpack.commands.keys import keys
from auditpack.commands.kpi import kpis
from auditpack.commands.lint import lint
from auditpack.commands.listing import list_
from auditpack.commands.log import log
from auditpack.commands.maturity import maturity
from auditpack.commands.pack import pack
from auditpack.commands.permissions import permissions
from auditpack.commands.rebuild import rebuild
from auditpack.commands.schema import schema
from auditpack.commands.score import score
from auditpack.commands.show import show
from auditpack.commands.site import site
from auditpack.commands.verify import verify
from evidence.errors import AuditpackError

INTERRUPTED = 130
"""Exit code after Ctrl-C or SIGTERM: the store is valid, the open run can be resumed."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done; 1 the tool failed; 2 bad usage or configuration; 3 done, but below"
        " the threshold asked for; 4 done with gaps (--strict); 5 verification failed;"
        " 130 interrupted."
    ),
)
@click.version_option(__version__, prog_name="auditpack")
def cli() -> None:
    """Cloud state in, audit evidence out: collected read-only, sealed, judged, and signed.

    Start with `auditpack demo` for a company estate on this machine, or `auditpack init` for
    your own.
    """


for _command in (
    init,
    demo,
    collect,
    evaluate,
    score,
    kpis,
    maturity,
    pack,
    site,
    bundle,
    disclose,
    verify,
    rebuild,
    log,
    show,
    export,
    list_,
    explain,
    crosswalk,
    framework,
    lint,
    permissions,
    schema,
    keys,
    doctor,
):
    cli.add_command(_command)
for _change in (rotate, revoke):
    keys.add_command(_change)


def main() -> NoReturn:
    """Run the command line; print errors as cause, place and mend, and exit with their code."""
    signal.signal(signal.SIGTERM, _interrupt)
    _silence_libraries()
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _complain("interrupted")
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except AuditpackError as error:
        _complain(str(error))
        _traceback_if_verbose()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _silence_libraries() -> None:
    """Show what SDKs log only with --verbose: what matters of it comes as an error or a gap."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda _: bool(os.environ.get("AUDITPACK_VERBOSE")))
    logging.getLogger().addHandler(handler)


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _complain(text: str) -> None:
    sys.stderr.write(f"error: {text}\n")


def _traceback_if_verbose() -> None:
    if os.environ.get("AUDITPACK_VERBOSE"):
        import traceback

        traceback.print_exc()
