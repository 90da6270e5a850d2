"""Configuration: `auditpack.yaml` in the working folder; flags and AUDITPACK_* override it."""

from __future__ import annotations

import datetime
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
)

from evidence.errors import KeyFileError, UsageError
from evidence.key_uri import FileKey, KeySource, parse_key_source
from evidence.store_location import is_remote
from evidence.yaml_files import load_model

if TYPE_CHECKING:
    from collectors.aws.engine import AwsScope
    from collectors.azure.engine import AzureScope
    from collectors.gcp.engine import GcpScope
    from collectors.records.engine import RecordScope

CONFIG_NAME = "auditpack.yaml"
OWN_FOLDER = "auditpack.d"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class AwsAccountConfig(_Strict):
    """An AWS account in scope. Without `role_arn` and `profile`: the environment's credentials."""

    id: str = Field(default="", pattern=r"^(\d{12})?$")
    name: str = ""
    role_arn: str = ""
    external_id: str = ""
    profile: str = ""


class AwsConfig(_Strict):
    """What to read in AWS, and how hard to ask."""

    accounts: tuple[AwsAccountConfig, ...] = (AwsAccountConfig(),)
    regions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    threads: int = Field(default=32, ge=1, le=256)
    max_attempts: int = Field(default=5, ge=1, le=20)
    requests_per_second: float = Field(default=100.0, gt=0)

    @field_validator("accounts")
    @classmethod
    def _some(cls, value: tuple[AwsAccountConfig, ...]) -> tuple[AwsAccountConfig, ...]:
        if not value:
            raise ValueError("name at least one account, or leave `accounts` out")
        return value


class AzureTenantConfig(_Strict):
    """An Entra tenant in scope, and its subscriptions: none named means every visible one.

    `credential` says how to log in; `default` takes what the environment has. Secrets are never
    written here: `client_secret_variable` names the environment variable that holds one.
    """

    id: str = Field(default="", pattern=r"^[0-9A-Za-z.-]*$")
    name: str = ""
    subscriptions: tuple[str, ...] = ()
    credential: Literal[
        "default",
        "environment",
        "client_secret",
        "certificate",
        "managed_identity",
        "workload_identity",
        "cli",
    ] = "default"
    client_id: str = ""
    client_secret_variable: str = "AZURE_CLIENT_SECRET"
    certificate: str = ""


class AzureConfig(_Strict):
    """What to read in Azure and Entra ID, and where Azure is.

    `reread` reads resources again that Resource Graph listed, since that may be behind. The
    endpoints are those of `cloud` where they are not given; `ca_file` holds certificates to trust
    besides the usual ones.
    """

    tenants: tuple[AzureTenantConfig, ...] = (AzureTenantConfig(),)
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    threads: int = Field(default=32, ge=1, le=256)
    max_attempts: int = Field(default=5, ge=1, le=20)
    requests_per_second: float = Field(default=100.0, gt=0)
    reread: bool = True
    cloud: Literal["public", "us-government", "china"] = "public"
    authority: str = ""
    arm_endpoint: str = ""
    graph_endpoint: str = ""
    ca_file: str = ""

    @field_validator("tenants")
    @classmethod
    def _some(cls, value: tuple[AzureTenantConfig, ...]) -> tuple[AzureTenantConfig, ...]:
        if not value:
            raise ValueError("name at least one tenant, or leave `tenants` out")
        return value


GCP_SCOPE = re.compile(r"^(organizations/\d+|folders/\d+|projects/[A-Za-z0-9][A-Za-z0-9.:-]*)$")
GcpScopeName = Annotated[str, Field(pattern=GCP_SCOPE.pattern)]
"""What Google Cloud is read below: organizations/NUMBER, folders/NUMBER or projects/ID."""


class GcpConfig(_Strict):
    """What to read in Google Cloud, as whom, and how hard to ask.

    Without `scopes` it is GOOGLE_CLOUD_PROJECT, else the project of the credentials. These are
    application default credentials, or those of `credentials_file` (a service account's key, or a
    workload identity federation file), which may act as `impersonate_service_account`; an
    `anonymous` caller sends none, for an emulator. `quota_project` pays for the calls. `as_of` is
    when to read, up to 35 days ago. An `endpoint` is host:port, or http://host:port without TLS and
    without credentials; `ca_file` holds certificates to trust besides the usual ones.
    """

    scopes: tuple[GcpScopeName, ...] = ()
    types: tuple[str, ...] = ()
    exclude_types: tuple[str, ...] = ()
    credentials_file: str = ""
    impersonate_service_account: str = Field(default="", pattern=r"^(\S+@\S+)?$")
    anonymous: bool = False
    quota_project: str = ""
    as_of: AwareDatetime | None = None
    threads: int = Field(default=8, ge=1, le=64)
    page_size: int = Field(default=1000, ge=1, le=1000)
    max_attempts: int = Field(default=5, ge=1, le=20)
    requests_per_minute: float = Field(default=90.0, gt=0)
    endpoint: str = ""
    ca_file: str = ""


class RecordsConfig(_Strict):
    """A file that a company's own system exported: CSV, a JSON list, JSON lines or XLSX.

    `type` is the record type that it holds (`auditpack list resources`). `file` is a path from the
    configuration file's folder. `source` is what the system is called in evidence, as an account
    is; several files of a type and source count as one. `sheet` is one of a workbook's; its first
    that is not hidden where none is named.
    """

    type: str = Field(pattern=r"^record_[a-z0-9_]+$")
    file: Path
    source: str = Field(default="records", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    sheet: str = ""


class PeriodConfig(_Strict):
    """The audit period, both days included."""

    start: datetime.date = Field(alias="from")
    end: datetime.date = Field(alias="to")


WrittenKey = Annotated[KeySource, PlainSerializer(str), WithJsonSchema({"type": "string"})]
"""A signing key's place, written as one text."""


class SigningConfig(_Strict):
    """Where the signing key and its certificate are; paths are relative to the configuration file.

    `key` is a path or a URI (see `evidence.key_uri`). `tsa_url` is an RFC 3161 timestamp authority;
    `tsa_certificates` a PEM file with the root certificates that its answers must lead to.
    """

    key: WrittenKey = Field(default="keys/signing-key.pem", validate_default=True)
    certificate: Path = Path("keys/signing-certificate.pem")
    tsa_url: str = Field(default="", pattern=r"^(https?://.+)?$")
    tsa_certificates: Path | None = None

    @field_validator("key", mode="before")
    @classmethod
    def _source(cls, value: Any) -> Any:
        if not isinstance(value, str | Path):
            return value
        try:
            return parse_key_source(value) if isinstance(value, str) else FileKey(value)
        except KeyFileError as error:
            raise ValueError(f"{error.what}. {error.mend}") from error

    @property
    def folder(self) -> Path:
        """The folder that holds what belongs to the key: the file's, else the certificate's."""
        file = self.key.path if isinstance(self.key, FileKey) else self.certificate
        return file.parent

    def within(self, folder: Path) -> SigningConfig:
        """Return the same with its paths taken from `folder`."""
        key = FileKey(folder / self.key.path) if isinstance(self.key, FileKey) else self.key
        roots = folder / self.tsa_certificates if self.tsa_certificates is not None else None
        changes = {"key": key, "certificate": folder / self.certificate, "tsa_certificates": roots}
        return self.model_copy(update=changes)


class StoreConfig(_Strict):
    """How a store in a cloud is reached and kept; what is empty, the cloud's SDK decides."""

    retention_days: int = Field(default=0, ge=0)
    retention_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    profile: str = ""
    region: str = ""
    endpoint_url: str = ""


class Config(_Strict):
    """The whole configuration. `store` is a folder, or the URL of a bucket or container.

    `frameworks` may be narrowed to a profile (`nist_800_53:moderate`). `not_applicable` says why a
    requirement (`soc2:CC6.4`) does not apply to the company. Evidence that is more than
    `evidence_days` older than the day that is judged for (`evaluate --at`) shows nothing.
    """

    organisation: str = "Unnamed organisation"
    store: str = "store"
    store_options: StoreConfig = StoreConfig()
    frameworks: tuple[str, ...] = ()
    not_applicable: dict[str, str] = Field(default_factory=dict)
    period: PeriodConfig | None = None
    evidence_days: int = Field(default=90, ge=1)
    owner_tags: tuple[str, ...] = ("Owner", "owner", "Team", "team")
    aws: AwsConfig = AwsConfig()
    azure: AzureConfig | None = None
    gcp: GcpConfig | None = None
    records: tuple[RecordsConfig, ...] = ()
    signing: SigningConfig = SigningConfig()
    memory_limit: str = Field(default="2GB", pattern=r"^\d+ ?[KMGT]i?B$")

    def within(self, folder: Path) -> Config:
        """Return the configuration with its paths taken from `folder`."""
        store = self.store if is_remote(self.store) else str(folder / self.store)
        files = [item.model_copy(update={"file": folder / item.file}) for item in self.records]
        changes = {
            "store": store,
            "signing": self.signing.within(folder),
            "records": tuple(files),
        }
        return self.model_copy(update=changes)

    def aws_scope(self, type_folders: tuple[str, ...] = ()) -> AwsScope:
        """Return what the AWS collector is to read."""
        from collectors.aws.engine import AwsScope
        from collectors.aws.session import AccountTarget, ClientSettings

        aws = self.aws
        settings = ClientSettings(
            default_region=_default_region(aws.regions),
            max_attempts=aws.max_attempts,
            connections=aws.threads,
            requests_per_second=aws.requests_per_second,
        )
        return AwsScope(
            accounts=tuple(AccountTarget(**account.model_dump()) for account in aws.accounts),
            regions=aws.regions,
            types=aws.types,
            exclude_types=aws.exclude_types,
            type_folders=type_folders,
            settings=settings,
            threads=aws.threads,
        )

    def providers(self) -> tuple[str, ...]:
        """Return the providers that the configuration names; AWS where it names none."""
        named = ["aws"] if "aws" in self.model_fields_set else []
        named += ["azure"] if self.azure is not None else []
        named += ["gcp"] if self.gcp is not None else []
        named += ["records"] if self.records else []
        return tuple(named) or ("aws",)

    def azure_scope(self, type_folders: tuple[str, ...] = ()) -> AzureScope:
        """Return what the Azure collector is to read."""
        from collectors.azure.clouds import AzureSettings
        from collectors.azure.credentials import CredentialTarget
        from collectors.azure.engine import AzureScope
        from collectors.azure.session import TenantTarget

        azure = self.azure or AzureConfig()
        settings = AzureSettings(
            cloud=azure.cloud,
            authority=_or_variable(azure.authority, "AUTHORITY"),
            arm_endpoint=_or_variable(azure.arm_endpoint, "ARM_ENDPOINT"),
            graph_endpoint=_or_variable(azure.graph_endpoint, "GRAPH_ENDPOINT"),
            ca_file=_or_variable(azure.ca_file, "CA_FILE"),
            max_attempts=azure.max_attempts,
            connections=azure.threads + 16,
            requests_per_second=azure.requests_per_second,
            reread=azure.reread,
        )
        tenants = tuple(
            TenantTarget(
                tenant.id,
                tenant.name,
                tenant.subscriptions,
                CredentialTarget(
                    tenant.credential,
                    tenant.client_id,
                    tenant.client_secret_variable,
                    tenant.certificate,
                ),
            )
            for tenant in azure.tenants
        )
        return AzureScope(
            tenants=tenants,
            types=azure.types,
            exclude_types=azure.exclude_types,
            type_folders=type_folders,
            settings=settings,
            threads=azure.threads,
        )

    def gcp_scope(self, type_folders: tuple[str, ...] = (), *, read_time: str = "") -> GcpScope:
        """Return what the Google Cloud collector is to read; `read_time` is when."""
        from collectors.gcp.engine import GcpScope
        from collectors.gcp.reading import Reading
        from collectors.gcp.settings import ENDPOINT, CredentialTarget, GcpSettings

        gcp = self.gcp or GcpConfig()
        credential = CredentialTarget(
            gcp.credentials_file, gcp.impersonate_service_account, gcp.anonymous
        )
        project = os.environ.get("GOOGLE_CLOUD_PROJECT", "")
        settings = GcpSettings(
            endpoint=_or_variable(gcp.endpoint, "ENDPOINT", "GCP") or ENDPOINT,
            ca_file=_or_variable(gcp.ca_file, "CA_FILE", "GCP"),
            credential=credential,
            quota_project=gcp.quota_project,
            page_size=gcp.page_size,
            max_attempts=gcp.max_attempts,
            requests_per_minute=gcp.requests_per_minute,
        )
        return GcpScope(
            scopes=gcp.scopes or ((f"projects/{project}",) if project else ()),
            types=gcp.types,
            exclude_types=gcp.exclude_types,
            type_folders=type_folders,
            settings=settings,
            reading=Reading(read_time, gcp.page_size, gcp.as_of is not None, bool(gcp.types)),
            units_at_once=gcp.threads,
        )

    def record_scope(self, type_folders: tuple[str, ...] = ()) -> RecordScope:
        """Return the files of records that are to be read."""
        from collectors.records.engine import RecordScope, SourceFile

        files = (
            SourceFile(item.type, item.source, item.file.name, item.file, item.sheet)
            for item in self.records
        )
        return RecordScope(tuple(files), type_folders)


def _or_variable(value: str, name: str, provider: str = "AZURE") -> str:
    """Return AUDITPACK_<provider>_<name> where it is set, else the configured value."""
    return os.environ.get(f"AUDITPACK_{provider}_{name}") or value


def _default_region(regions: tuple[str, ...]) -> str:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        if os.environ.get(name):
            return os.environ[name]
    return regions[0] if regions else "us-east-1"


def find_config(given: Path | None) -> Path | None:
    """Return the configuration file to use. Raises UsageError when the one given is not there."""
    if given is not None:
        if not given.is_file():
            raise UsageError(
                "the configuration file is not there",
                where=str(given),
                mend="Correct --config, or run `auditpack init` to make one.",
            )
        return given
    here = Path(CONFIG_NAME)
    return here if here.is_file() else None


def load_config(given: Path | None = None, **overrides: Any) -> Config:
    """Read the configuration and apply the overrides that are not None.

    Raises UsageError when the file given is not there, DataError when it is wrong.
    Without a file, keys are looked for in the user's configuration folder, the store in `./store`.
    """
    file = find_config(given)
    config = Config() if file is None else load_model(file, Config)
    config = config.within(Path() if file is None else file.parent)
    if file is None:
        keys = user_folder() / "keys"
        signing = SigningConfig(
            key=keys / "signing-key.pem", certificate=keys / "signing-certificate.pem"
        )
        config = config.model_copy(update={"signing": signing})
    given_values = {name: value for name, value in overrides.items() if value not in (None, ())}
    return config.model_copy(update=given_values)


def user_folder() -> Path:
    """Return the user's own configuration folder (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "auditpack"


def cache_folder() -> Path:
    """Return the user's folder for what can be made again (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "auditpack"


def store_work_folder(location: str) -> Path:
    """Return the folder for open runs and copies of a remote store."""
    return cache_folder() / "stores" / hashlib.sha256(location.encode()).hexdigest()[:16]


def own_folder(config_file: Path | None) -> Path:
    """Return the user's `auditpack.d` beside the configuration, whether it is there or not."""
    return (config_file.parent if config_file is not None else Path()) / OWN_FOLDER


def own_folders(config_file: Path | None) -> list[Path]:
    """Return the folders with the user's own checks and types: `auditpack.d` beside the config."""
    folder = own_folder(config_file)
    return [folder] if folder.is_dir() else []


def quarter_of(moment: str) -> tuple[str, str]:
    """Return the first and last day of the calendar quarter that `moment` (ISO 8601) lies in."""
    day = datetime.date.fromisoformat(moment[:10])
    first_month = 3 * ((day.month - 1) // 3) + 1
    start = day.replace(month=first_month, day=1)
    next_month = (first_month + 2) % 12 + 1
    after = start.replace(year=start.year + (next_month == 1), month=next_month)
    return start.isoformat(), (after - datetime.timedelta(days=1)).isoformat()
