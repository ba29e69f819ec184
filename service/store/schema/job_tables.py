"""The tables of jobs: a file that is scored in the background, what was uploaded, what became of its rows."""

import sqlalchemy as sa

from service.store.schema.tables import UtcTimestamp, metadata, tenant_id_column

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    tenant_id_column(),
    sa.Column("organization_id", sa.String(36), nullable=False),
    # What was asked for.
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("source_uri", sa.Text),
    sa.Column("sheet", sa.Text),
    sa.Column("units", sa.String(16)),
    # With what all of it is scored, whichever instance goes on with it.
    sa.Column("model_name", sa.Text, nullable=False),
    sa.Column("model_sha256", sa.String(64), nullable=False),
    sa.Column("prior", sa.Double, nullable=False),
    sa.Column("thresholds", sa.String(64), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("started_at", UtcTimestamp),
    sa.Column("finished_at", UtcTimestamp),
    sa.Column("error", sa.String(64)),
    sa.Column("error_detail", sa.Text),
    # How far it is: written with the rows themselves.
    sa.Column("next_row", sa.BigInteger, nullable=False),
    sa.Column("scored", sa.BigInteger, nullable=False),
    sa.Column("abstained", sa.BigInteger, nullable=False),
    sa.Column("duplicate", sa.BigInteger, nullable=False),
    sa.Column("invalid", sa.BigInteger, nullable=False),
    sa.Column("rows_total", sa.BigInteger),
    # Of the file, as whoever began found it: nobody goes on with another one.
    sa.Column("source_version", sa.Text),
    sa.Column("progress", sa.Text),
    # The lease: seconds since 1970 by the database's clock, and how many have had the job.
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    # How often it was taken since rows were last stored: a file that ends every process is given up.
    sa.Column("takes", sa.Integer, nullable=False),
    sa.Column("cancelled_at", UtcTimestamp),
    sa.Index("jobs_by_age", "tenant_id", "created_at", "id"),
    sa.Index("jobs_by_status", "status", "created_at"),
)

job_uploads = sa.Table(
    "job_uploads",
    metadata,
    # The file of a job in parts, until the job has ended.
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True),
    tenant_id_column(),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

job_rows = sa.Table(
    "job_rows",
    metadata,
    # What became of a row; of refused ones only so many are kept.
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    tenant_id_column(),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("company_symbol", sa.Text),
    sa.Column("prediction_id", sa.String(36)),
    sa.Column("problem", sa.Text),
)
