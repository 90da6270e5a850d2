"""`auditpack demo`: a company estate on this machine, read, judged and bound as a real one."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.config import CONFIG_NAME, OWN_FOLDER
from auditpack.console import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from auditpack.demo.clouds import RunningCloud


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("auditpack-demo"),
    show_default=True,
    help="Folder for the demo's store, pack and site.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the result as JSON to stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more; show a traceback on errors.")
def demo(output: Path, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Run everything on an invented company: its three clouds, on servers on this machine.

    Starts a stand-in for each cloud on a loopback port, with the company's things in it, and then
    runs the same collect, evaluate, pack and site that run against the real ones. Works offline;
    the servers are stopped at the end. A second run in the same folder adds a second snapshot.
    """
    from auditpack.demo.estate import load_estate

    out = Output(as_json, quiet, verbose)
    company = load_estate().company
    with _running(out, company) as clouds, _only_the_demo(clouds):
        _run(out, output, company, clouds)


@contextmanager
def _running(out: Output, company: str) -> Iterator[list[RunningCloud]]:
    """Start all clouds at once; stop them when the block ends."""
    from auditpack.demo.clouds import demo_clouds

    began, known = time.monotonic(), demo_clouds()
    names = ", ".join(cloud.name for cloud in known)
    out.remark(f"Starting the clouds of {company} on this machine: {names} ...")
    with ExitStack() as stack:
        with ThreadPoolExecutor(len(known)) as threads:
            starting = [threads.submit(stack.enter_context, cloud.running()) for cloud in known]
        clouds = [start.result() for start in starting]
        for cloud, running in zip(known, clouds, strict=True):
            out.remark(f"{cloud.name}: {running.said}")
        out.remark(f"Ready in {time.monotonic() - began:.1f} s")
        yield clouds


@contextmanager
def _only_the_demo(clouds: Sequence[RunningCloud]) -> Iterator[None]:
    """Point the SDKs' environment at the demo and nothing else, for as long as the block runs."""
    before = dict(os.environ)
    os.environ["NO_PROXY"] = "127.0.0.1"
    for cloud in clouds:
        os.environ.update(cloud.variables)
        for name in cloud.unset:
            os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(out: Output, folder: Path, company: str, clouds: Sequence[RunningCloud]) -> None:
    from auditpack.collecting import collect_snapshot
    from auditpack.commands.evaluate import assess_snapshot, show_assessment
    from auditpack.commands.pack import write_pack
    from auditpack.commands.site import write_site
    from auditpack.config import load_config
    from auditpack.options import Context

    config_file = _configure(folder, company, clouds)
    speaking = Output(quiet=out.quiet or out.as_json, verbose=out.verbose)
    context = Context(load_config(config_file), config_file, speaking)
    collected = collect_snapshot(context)
    console = out.results()
    gaps = sum(collected.gaps.values())
    console.print(
        f"Read {collected.resources} resources of {len(collected.accounts)} accounts with"
        f" {collected.calls} calls in {collected.seconds:.1f} s; {gaps} gaps,"
        f" {collected.redactions} secrets redacted"
    )
    assessment = assess_snapshot(context)
    show_assessment(context, assessment)
    pack = write_pack(context, assessment.id)
    site = write_site(context, folder / "site", assessment.id)
    console.print()
    console.print(f"PDF pack     {pack}", soft_wrap=True)
    console.print(f"HTML report  {site}", soft_wrap=True)
    console.print(f"Store        {context.config.store}", soft_wrap=True)
    console.print(f"\nCheck it:    auditpack verify --config {config_file}", soft_wrap=True)
    out.json(
        {
            "pack": str(pack),
            "site": str(site),
            "store": str(context.config.store),
            "config": str(config_file),
            "snapshot": collected.as_dict(),
            "assessment": assessment.id,
            "scores": {
                item["id"]: item["score_percent"] for item in assessment.results["frameworks"]
            },
        }
    )


def _configure(folder: Path, company: str, clouds: Sequence[RunningCloud]) -> Path:
    """Write the demo's configuration and key, unless an earlier demo made them here."""
    import datetime

    import yaml

    from evidence.errors import UsageError
    from evidence.files import write_atomically
    from evidence.keys import make_signing_key, save_signing_key

    config_file = folder / CONFIG_NAME
    if folder.exists() and any(folder.iterdir()) and not config_file.exists():
        raise UsageError(
            "this folder is not empty and holds no earlier demo",
            where=str(folder),
            mend="Name another folder with --output.",
        )
    sections = {cloud.provider: dict(cloud.section) for cloud in clouds}
    document = {"organisation": company, "store": "store", **sections}
    folder.mkdir(parents=True, exist_ok=True)
    text = "# Made by `auditpack demo`.\n" + yaml.safe_dump(document, sort_keys=False)
    write_atomically(config_file, text.encode())
    (folder / OWN_FOLDER).mkdir(exist_ok=True)
    if not (folder / "keys" / "signing-key.pem").exists():
        key = make_signing_key(company, datetime.datetime.now(datetime.UTC))
        keys = folder / "keys"
        save_signing_key(key, keys / "signing-key.pem", keys / "signing-certificate.pem", "")
    return config_file
