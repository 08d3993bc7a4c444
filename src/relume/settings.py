"""Every setting, read once at start into one frozen object.

Sources, first to last: the environment, `.env`, `config.env`. docs/settings.md explains each one; a test
fails when it does not.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from relume.errors import SettingsError, UnknownModel
from relume.picture_models import ANY_MODEL, PICTURE_MODELS, REFERENCE
from relume.recipes import find

FILES = (Path(".env"), Path("config.env"))
"""Read from the working folder; the first one that has a name wins, after the environment."""

_EMPTY_MEANS_NONE = frozenset({"huggingface_space_upscale", "huggingface_space_cartoonify"})
_WEBHOOK_KEY_BYTES = 24
"""The least that the Standard Webhooks specification recommends."""

PROVIDER_NAMES = ("replicate", "huggingface", "cog", "local", "builtin", "mock", "generic")


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must be an http:// or https:// URL")
    return value.rstrip("/")


def _providers(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name not in PROVIDER_NAMES:
            raise ValueError(f"'{name}' is no provider; known are {', '.join(PROVIDER_NAMES)}")
    return value


def _model(value: str) -> str:
    try:
        find(value)
    except UnknownModel as error:
        raise ValueError(error.detail) from error
    return value


def _picture_models(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if name != ANY_MODEL and not REFERENCE.fullmatch(name):
            raise ValueError(f"'{name}' must look like owner/name or owner/name:version, or be {ANY_MODEL}")
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    prefix, _, key = value.get_secret_value().partition("_")
    try:
        is_long_enough = len(base64.b64decode(key, validate=True)) >= _WEBHOOK_KEY_BYTES
    except ValueError:
        is_long_enough = False
    if prefix != "whsec" or not is_long_enough:
        raise ValueError(f"it must be 'whsec_' and at least {_WEBHOOK_KEY_BYTES} bytes in base64")
    return value


def _storage_dir(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if not separator:
        return value
    if scheme.lower() != "s3":
        raise ValueError(f"'{scheme}://' is not known; it is a folder or s3://bucket/prefix")
    bucket = Bucket.of(value)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", bucket.name):
        raise ValueError("a bucket is named as s3://bucket/prefix")
    if not re.fullmatch(r"[\w.\-/]*", bucket.prefix) or {"", ".", ".."} & set(bucket.prefix.split("/")[1:]):
        raise ValueError("the prefix after the bucket's name may hold letters, digits, '.', '_', '-' and '/'")
    return value


@dataclass(frozen=True, slots=True)
class Bucket:
    """What an `s3://bucket/prefix` URL names."""

    name: str
    prefix: str
    """Without slashes at its ends; empty for the whole bucket."""

    @classmethod
    def of(cls, url: str) -> Bucket:
        name, _, prefix = url.partition("://")[2].partition("/")
        return cls(name, prefix.strip("/"))


def _url_of(*schemes: str) -> AfterValidator:
    allowed = " or ".join(f"{scheme}://" for scheme in schemes)

    def check(value: str) -> str:
        if urlsplit(value).scheme not in schemes:
            raise ValueError(f"it must be a URL that begins with {allowed}")
        return value

    return AfterValidator(check)


REDIS_SCHEMES = ("redis", "rediss")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps")

HttpUrl = Annotated[str, AfterValidator(_http_url)]
BrokerUrl = Annotated[str, _url_of(*BROKER_SCHEMES)]
RedisUrl = Annotated[str, _url_of(*REDIS_SCHEMES)]
CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]
ModelList = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_picture_models)]
ProviderOrder = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_providers)]


class Settings(BaseModel):
    """Names are the environment's, in lower case. Frozen: a change needs a restart."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    # Access and limits
    api_key: SecretStr | None = None
    restore_enabled: bool = True
    max_image_mb: float = Field(15, gt=0, le=200)
    max_file_size_mb: float = Field(10, gt=0, le=200)
    enhance_max_files: int = Field(200, ge=1, le=10_000)
    enhance_max_total_mb: float = Field(2000, gt=0, le=100_000)
    rate_limit_per_min: int = Field(10, ge=0, le=1_000_000)
    quota_jobs_per_day: int = Field(0, ge=0, le=1_000_000_000)
    quota_usd_per_day: float = Field(0, ge=0)
    cors_origins: CommaSeparated = ()
    fetch_allowed_hosts: CommaSeparated = ()

    # What does the work
    provider: str = "auto"
    model_default: Annotated[str, AfterValidator(_model)] = "restoration/gfpgans-1.4"
    generation_models: ModelList = tuple(PICTURE_MODELS)
    chain_restore_faces: ProviderOrder = ("replicate", "cog", "local", "builtin")
    chain_upscale: ProviderOrder = ("replicate", "huggingface", "cog", "local", "builtin")
    chain_cartoonify: ProviderOrder = ("replicate", "huggingface", "builtin")
    chain_text_to_image: ProviderOrder = ("huggingface", "replicate", "mock")
    chain_text: ProviderOrder = ("huggingface",)
    provider_timeout_seconds: float = Field(120, gt=0, le=3600)
    max_retry_attempts: int = Field(3, ge=0, le=20)
    retry_backoff_factor: float = Field(2, ge=1, le=10)

    # Hosted and self-hosted providers
    replicate_api_token: SecretStr | None = None
    replicate_base_url: HttpUrl = "https://api.replicate.com"
    replicate_mock_delay_min: float = Field(2, ge=0, le=600)
    replicate_mock_delay_max: float = Field(10, ge=0, le=600)
    replicate_mock_failure_rate: float = Field(0.1, ge=0, le=1)
    huggingface_token: SecretStr | None = Field(
        None, validation_alias=AliasChoices("huggingface_token", "hf_token")
    )
    huggingface_base_url: HttpUrl | None = None
    huggingface_space_upscale: str = "akhaliq/Real-ESRGAN"
    huggingface_space_cartoonify: str = "PKUWilliamYang/VToonify"
    huggingface_space_upscale_endpoint: str | None = None
    huggingface_space_cartoonify_endpoint: str | None = None
    huggingface_text_model: str = "mistralai/Mistral-7B-Instruct-v0.3"
    huggingface_image_model: str = "stabilityai/stable-diffusion-xl-base-1.0"
    cog_upscale_url: HttpUrl | None = None
    cog_faces_url: HttpUrl | None = None

    # On this machine
    builtin_quality: Literal["auto", "best", "fast"] = "auto"
    local_precision: Literal["auto", "f32", "bf16", "int8"] = "auto"
    local_memory_mb: float = Field(2048, ge=256, le=1_000_000)
    local_tile: int = Field(0, ge=0, le=4096)
    face_min_pixels: int = Field(40, ge=8, le=1024)
    face_confidence: float = Field(0.7, gt=0, le=1)

    # Where things are kept
    storage_dir: Annotated[str, AfterValidator(_storage_dir)] = "./data"
    storage_path: str = "media"
    upload_folder: str = "temp_uploads"
    processed_folder: str = "processed_images"
    weights_dir: Path = Path("./weights")
    result_base_url: HttpUrl | None = Field(
        None, validation_alias=AliasChoices("result_base_url", "storage_base_url")
    )
    result_delivery: Literal["proxy", "redirect"] = "proxy"
    result_link_seconds: int = Field(300, ge=10, le=604_800)
    aws_access_key_id: SecretStr | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_region: str = Field("us-east-1", validation_alias=AliasChoices("aws_region", "aws_default_region"))
    s3_endpoint_url: HttpUrl | None = Field(
        None, validation_alias=AliasChoices("s3_endpoint_url", "aws_endpoint_url")
    )
    database_url: str | None = None
    database_url_sync: str | None = None
    database_upgrade_at_start: bool = True
    result_cache_enabled: bool = True
    keep_unmixed: bool = True
    result_ttl_minutes: float = Field(60, ge=0)
    media_ttl_minutes: float | None = Field(None, ge=0)
    metadata_ttl_minutes: float = Field(0, ge=0)
    job_ttl_days: float = Field(0, ge=0)
    janitor_interval_minutes: float = Field(30, gt=0)

    # How it runs
    api_host: str = "127.0.0.1"
    api_port: int = Field(8000, ge=0, le=65535)
    dashboard_port: int | None = Field(None, ge=0, le=65535)
    api_debug: bool = False
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(lambda level: str(level).upper()),
    ] = "INFO"
    celery_broker_url: BrokerUrl | None = None
    redis_url: RedisUrl | None = None
    celery_result_backend: str | None = None
    queue_prefix: str = Field("relume", pattern=r"^[A-Za-z0-9_.-]{1,40}$")
    worker_concurrency: int = Field(64, ge=1, le=4096)
    photo_memory_mb: float = Field(2048, ge=64, le=1_000_000)
    worker_stop_seconds: float = Field(30, ge=0, le=3600)
    lease_seconds: float = Field(30, ge=1, le=3600)
    sweep_seconds: float = Field(5, gt=0, le=3600)
    webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_redis_serves_for_all(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The two names are one setting where only one is given, unless that one is no Redis."""
        broker, redis = values.get("celery_broker_url"), values.get("redis_url")
        if redis and not broker:
            return values | {"celery_broker_url": redis}
        if broker and not redis and str(broker).startswith(tuple(f"{name}://" for name in REDIS_SCHEMES)):
            return values | {"redis_url": broker}
        return values

    @model_validator(mode="after")
    def _what_fits_together(self) -> Self:
        if self.provider != "auto" and self.provider not in PROVIDER_NAMES:
            raise SettingsError(f"PROVIDER must be auto or one of {', '.join(PROVIDER_NAMES)}.")
        if self.replicate_mock_delay_min > self.replicate_mock_delay_max:
            raise SettingsError("REPLICATE_MOCK_DELAY_MIN must not be more than REPLICATE_MOCK_DELAY_MAX.")
        if self.bucket and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise SettingsError(
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together: set both or none."
            )
        if self.result_delivery == "redirect" and self.bucket is None:
            raise SettingsError(
                "RESULT_DELIVERY is wrong: 'redirect' leads clients to a bucket, and STORAGE_DIR is a folder."
            )
        return self

    @property
    def max_image_bytes(self) -> int:
        """MB are a million bytes, as the word says."""
        return int(self.max_image_mb * 1_000_000)

    @property
    def bucket(self) -> Bucket | None:
        """The bucket of STORAGE_DIR, or None for a folder."""
        return Bucket.of(self.storage_dir) if "://" in self.storage_dir else None

    @property
    def max_file_bytes(self) -> int:
        return int(self.max_file_size_mb * 1_000_000)

    @property
    def engine_cache(self) -> Path:
        """Converted models, on this machine even where files lie in a bucket. It can be deleted at any time."""
        return (Path("data").absolute() if self.bucket else self.storage_folder) / "models"

    @property
    def storage_folder(self) -> Path:
        """Only where STORAGE_DIR is a folder: look at `bucket` first."""
        return Path(self.storage_dir).expanduser().absolute()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises SettingsError, which names each wrong variable and what it may be."""
    values: dict[str, Any] = {}
    for file in reversed(FILES):
        values |= _by_field(dotenv_values(file))
    values |= _by_field(os.environ)
    try:
        return Settings(**values | overrides)
    except ValidationError as error:
        faults = [_sentence(fault) for fault in error.errors(include_url=False)]
        raise SettingsError(" ".join(faults)) from None


def names_of(field: str) -> list[str]:
    """The variables that set a field, in upper case, the documented one first."""
    alias = Settings.model_fields[field].validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [field]
    return [str(choice).upper() for choice in choices]


def _by_field(source: Mapping[str, str | None]) -> dict[str, str]:
    """One source's values by field.

    An empty value is how people unset one in a file; only for the Spaces does it mean "none".
    """
    given = {name.upper(): value for name, value in source.items() if value is not None}
    found: dict[str, str] = {}
    for field in Settings.model_fields:
        values = [given[name] for name in names_of(field) if name in given]
        chosen = next((value for value in values if value.strip() or field in _EMPTY_MEANS_NONE), None)
        if chosen is not None:
            found[field] = chosen
    return found


def _sentence(fault: ErrorDetails) -> str:
    name = str(fault["loc"][0]).upper() if fault["loc"] else "A setting"
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{name} is wrong: {message[:1].lower()}{message[1:]}."
