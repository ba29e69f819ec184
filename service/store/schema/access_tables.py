"""The tables of identities: who may ask, and what was done by whom."""

import sqlalchemy as sa

from service.store.schema.tables import UtcTimestamp, metadata, tenant_id_column

DIGEST = 64
"""Hex digits of a SHA-256: what is stored in the place of a secret."""


def _id() -> sa.Column[str]:
    return sa.Column("id", sa.String(36), primary_key=True)


def _lifetime() -> tuple[sa.Column[bool], sa.Column[object], sa.Column[object]]:
    """Return whether it counts, and since when; times are the database's."""
    return (
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcTimestamp, nullable=False),
        sa.Column("updated_at", UtcTimestamp, nullable=False),
    )


tenants = sa.Table(
    "tenants",
    metadata,
    _id(),
    sa.Column("name", sa.Text, nullable=False),
    # A short name for people and files, of one tenant only.
    sa.Column("code", sa.String(64), nullable=False, unique=True),
    *_lifetime(),
)

organizations = sa.Table(
    "organizations",
    metadata,
    _id(),
    tenant_id_column(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    # Where alerts about high default risk of its companies go; None: there are none.
    sa.Column("default_risk_channel", sa.Text),
    *_lifetime(),
    sa.UniqueConstraint("tenant_id", "code"),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    # Also a super_admin has a home: no row is nobody's.
    tenant_id_column(),
    sa.Column("organization_id", sa.String(36)),
    # In lower case: an address is one account, over all tenants.
    sa.Column("email", sa.String(320), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(32), nullable=False),
    # None: who has no password logs in by an issuer's token only.
    sa.Column("password_hash", sa.Text),
    *_lifetime(),
    sa.Index("users_by_tenant", "tenant_id", "organization_id"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    # The part of the key that is no secret.
    sa.Column("id", sa.String(16), primary_key=True),
    tenant_id_column(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.String(DIGEST), nullable=False),
    # Words of `KeyScope`, with a space between.
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("expires_at", UtcTimestamp),
    # Written at most once a minute.
    sa.Column("last_used_at", UtcTimestamp),
    sa.Column("revoked_at", UtcTimestamp),
    sa.Index("api_keys_by_tenant", "tenant_id", "created_at"),
)

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("token_hash", sa.String(DIGEST), primary_key=True),
    # One log-in, and all tokens that follow from it: a reused one ends them all.
    sa.Column("family_id", sa.String(36), nullable=False),
    sa.Column("user_id", sa.String(36), nullable=False),
    tenant_id_column(),
    sa.Column("issued_at", UtcTimestamp, nullable=False),
    sa.Column("expires_at", UtcTimestamp, nullable=False),
    sa.Column("rotated_at", UtcTimestamp),
    sa.Column("revoked_at", UtcTimestamp),
    sa.Index("refresh_tokens_by_family", "family_id"),
    sa.Index("refresh_tokens_by_user", "user_id"),
)

access_state = sa.Table(
    "access_state",
    metadata,
    # One row at most: there was an identity once, and from then on everybody is asked for theirs.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("closed_at", UtcTimestamp, nullable=False),
)

audit = sa.Table(
    "audit",
    metadata,
    # Made of the database's clock and a random part, so that ids follow each other in time.
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("at", UtcTimestamp, nullable=False),
    # Whose rows it is about.
    tenant_id_column(),
    sa.Column("principal", sa.Text, nullable=False),
    # How the principal was authenticated, and with which key.
    sa.Column("way", sa.String(32), nullable=False),
    sa.Column("key_id", sa.String(64)),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("target", sa.Text),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("address", sa.String(64)),
    sa.Column("request_id", sa.String(128)),
    sa.Index("audit_by_tenant", "tenant_id", "id"),
)
