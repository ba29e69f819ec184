"""The storage access: how, and how far, this service may reach into storage."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccess:
    """What opening a source needs besides its URI."""

    gcs_token: str | None = field(default=None, repr=False)
    """Secret. None: application default credentials; `anon`: none; else a key file's path or a token."""
    gcs_endpoint_url: str | None = None
    """Another endpoint for gs://, such as an emulator."""
    s3_endpoint_url: str | None = None
    """Another endpoint for s3://, such as an emulator or MinIO."""
    s3_anon: bool = False
    """Read s3:// without credentials; otherwise the standard AWS variables and files are honoured."""
    timeout_s: float = 15.0
    """Limit of one operation on the storage, in seconds."""
    allowed_sources: tuple[str, ...] | None = None
    """URI prefixes that may be read; None: any. Every file is checked again before it is opened."""
