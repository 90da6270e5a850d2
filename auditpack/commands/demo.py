"""`auditpack demo`: a company estate on this machine, read, judged and bound as a real one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditpack.config import CONFIG_NAME, OWN_FOLDER
from auditpack.console import Output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auditpack.demo.estate import Estate
    from auditpack.demo.seed import SeedSummary

_FOREIGN_VARIABLES = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


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
    """Run everything on an invented company: two AWS accounts on a server on this machine.

    Starts a moto server on a loopback port, seeds the estate, and then runs the same collect,
    evaluate, pack and site that run against AWS. Works offline; the server is stopped at the end.
    A second run in the same folder adds a second snapshot.
    """
    from auditpack.demo.estate import load_estate
    from auditpack.demo.seed import seed
    from auditpack.demo.server import MotoServer

    out = Output(as_json, quiet, verbose)
    estate = load_estate()
    out.remark("Starting a moto server on this machine ...")
    with MotoServer() as server:
        out.remark(f"Seeding the estate of {estate.company} ...")
        summary = seed(server.endpoint_url, estate)
        out.remark(f"{summary.total} things made in {summary.seconds:.1f} s")
        with _only_the_demo(server.endpoint_url, summary):
            _run(out, output, estate, summary)


@contextmanager
def _only_the_demo(endpoint_url: str, summary: SeedSummary) -> Iterator[None]:
    """Point the SDK's environment at the demo and nothing else, for as long as the block runs."""
    first = next(iter(summary.access.values()))
    wanted = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": first.access_key_id,
        "AWS_SECRET_ACCESS_KEY": first.secret_access_key,
        "AWS_SESSION_TOKEN": first.session_token,
        "AWS_DEFAULT_REGION": summary.regions[0],
        "AWS_REGION": summary.regions[0],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    before = dict(os.environ)
    os.environ.update(wanted)
    for name in _FOREIGN_VARIABLES:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(out: Output, folder: Path, estate: Estate, summary: SeedSummary) -> None:
    from auditpack.collecting import collect_snapshot
    from auditpack.commands.evaluate import assess_snapshot, show_assessment
    from auditpack.commands.pack import write_pack
    from auditpack.commands.site import write_site
    from auditpack.config import load_config
    from auditpack.options import Context

    config_file = _configure(folder, estate, summary)
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


def _configure(folder: Path, estate: Estate, summary: SeedSummary) -> Path:
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
    document = {
        "organisation": estate.company,
        "store": "store",
        "aws": {
            "regions": list(summary.regions),
            "accounts": [_account(estate, item, summary) for item in summary.access],
            "max_attempts": 3,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = "# Made by `auditpack demo`.\n" + yaml.safe_dump(document, sort_keys=False)
    write_atomically(config_file, text.encode())
    (folder / OWN_FOLDER).mkdir(exist_ok=True)
    if not (folder / "keys" / "signing-key.pem").exists():
        key = make_signing_key(estate.company, datetime.datetime.now(datetime.UTC))
        keys = folder / "keys"
        save_signing_key(key, keys / "signing-key.pem", keys / "signing-certificate.pem", "")
    return config_file


def _account(estate: Estate, account_id: str, summary: SeedSummary) -> dict[str, str]:
    """The first account is read with the environment's credentials, the others through a role."""
    name = next(account.name for account in estate.accounts if account.id == account_id)
    if account_id == next(iter(summary.access)):
        return {"id": account_id, "name": name}
    return {"id": account_id, "name": name, "role_arn": summary.access[account_id].role_arn}
