-- What the migrations make of an empty SQLite database; written by `python -m tests.support.newest_schema`.
CREATE TABLE access_state (
	id INTEGER NOT NULL,
	closed_at DATETIME NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0023');
CREATE TABLE alert_events (
	alert_id VARCHAR(32) NOT NULL,
	number INTEGER NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	at DATETIME NOT NULL,
	event VARCHAR(16) NOT NULL,
	from_status VARCHAR(16),
	to_status VARCHAR(16) NOT NULL,
	"by" TEXT,
	given_by TEXT,
	note TEXT,
	reason VARCHAR(16),
	occurrence_id VARCHAR(32),
	period VARCHAR(40),
	request_id VARCHAR(128),
	run_id VARCHAR(40),
	PRIMARY KEY (alert_id, number)
);
CREATE TABLE alerts (
	id VARCHAR(32) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	alert_type VARCHAR(32) NOT NULL,
	rule_name TEXT NOT NULL,
	message TEXT NOT NULL,
	severity VARCHAR(16) NOT NULL,
	status VARCHAR(16) NOT NULL,
	subject TEXT,
	route TEXT,
	channel TEXT,
	dedup_key TEXT,
	version INTEGER NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	acknowledged_at DATETIME,
	acknowledged_by TEXT,
	acknowledgment_note TEXT,
	resolved_at DATETIME,
	resolved_by TEXT,
	resolution_note TEXT,
	resolution_reason VARCHAR(16),
	reopened INTEGER NOT NULL,
	previous_alert_id VARCHAR(32),
	source_uri TEXT,
	began VARCHAR(40),
	last_period VARCHAR(40),
	evaluated_period VARCHAR(40),
	last_seen VARCHAR(16),
	PRIMARY KEY (id)
);
CREATE TABLE api_keys (
	id VARCHAR(16) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	secret_hash VARCHAR(64) NOT NULL,
	scopes TEXT NOT NULL,
	created_at DATETIME NOT NULL,
	created_by TEXT NOT NULL,
	expires_at DATETIME,
	last_used_at DATETIME,
	revoked_at DATETIME,
	PRIMARY KEY (id)
);
CREATE TABLE attempts (
	alert_id VARCHAR(32) NOT NULL,
	claim INTEGER NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	claimed_at DATETIME NOT NULL,
	settled_at DATETIME NOT NULL,
	http_status INTEGER,
	retry_after_s DOUBLE,
	status VARCHAR(16) NOT NULL,
	error VARCHAR(32),
	error_message TEXT,
	PRIMARY KEY (alert_id, claim)
);
CREATE TABLE audit (
	id VARCHAR(36) NOT NULL,
	at DATETIME NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	principal TEXT NOT NULL,
	way VARCHAR(32) NOT NULL,
	key_id VARCHAR(64),
	action VARCHAR(64) NOT NULL,
	target TEXT,
	outcome VARCHAR(16) NOT NULL,
	address VARCHAR(64),
	request_id VARCHAR(128),
	PRIMARY KEY (id)
);
CREATE TABLE checkpoints (
	tenant_id VARCHAR(36) NOT NULL,
	lease VARCHAR(200) NOT NULL,
	until VARCHAR(40) NOT NULL,
	begins VARCHAR(40) NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	follows VARCHAR(64),
	content BLOB NOT NULL,
	left_at DATETIME NOT NULL,
	PRIMARY KEY (tenant_id, lease, until)
);
CREATE TABLE companies (
	id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	organization_id VARCHAR(36) NOT NULL,
	symbol VARCHAR(40) NOT NULL,
	name TEXT NOT NULL,
	sector TEXT,
	market_cap DOUBLE,
	created_at DATETIME NOT NULL,
	created_by TEXT NOT NULL,
	updated_at DATETIME NOT NULL,
	deleted_at DATETIME,
	PRIMARY KEY (id)
);
CREATE TABLE company_access (
	company_id VARCHAR(36) NOT NULL,
	user_id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	granted_at DATETIME NOT NULL,
	granted_by TEXT NOT NULL,
	PRIMARY KEY (company_id, user_id)
);
CREATE TABLE doubt_settlements (
	alert_id VARCHAR(32) NOT NULL,
	claim INTEGER NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	settled_as VARCHAR(16) NOT NULL,
	settled_by TEXT NOT NULL,
	settled_at DATETIME NOT NULL,
	note TEXT, given_by TEXT,
	PRIMARY KEY (alert_id, claim)
);
CREATE TABLE health_probe (
	id INTEGER NOT NULL,
	ballast BLOB NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE idempotency_keys (
	tenant_id VARCHAR(36) NOT NULL,
	"key" VARCHAR(255) NOT NULL,
	request_hash VARCHAR(64) NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	created_at DOUBLE NOT NULL,
	PRIMARY KEY (tenant_id, "key")
);
CREATE TABLE job_rows (
	job_id VARCHAR(36) NOT NULL,
	number BIGINT NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	outcome VARCHAR(16) NOT NULL,
	company_symbol TEXT,
	prediction_id VARCHAR(36),
	problem TEXT,
	PRIMARY KEY (job_id, number)
);
CREATE TABLE job_uploads (
	job_id VARCHAR(36) NOT NULL,
	part INTEGER NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	content BLOB NOT NULL,
	PRIMARY KEY (job_id, part)
);
CREATE TABLE jobs (
	id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	organization_id VARCHAR(36) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	file_name TEXT NOT NULL,
	source_uri TEXT,
	sheet TEXT,
	units VARCHAR(16),
	model_name TEXT NOT NULL,
	model_sha256 VARCHAR(64) NOT NULL,
	prior DOUBLE NOT NULL,
	thresholds VARCHAR(64) NOT NULL,
	status VARCHAR(16) NOT NULL,
	created_at DATETIME NOT NULL,
	created_by TEXT NOT NULL,
	started_at DATETIME,
	finished_at DATETIME,
	error VARCHAR(64),
	error_detail TEXT,
	next_row BIGINT NOT NULL,
	scored BIGINT NOT NULL,
	abstained BIGINT NOT NULL,
	duplicate BIGINT NOT NULL,
	invalid BIGINT NOT NULL,
	rows_total BIGINT,
	source_version TEXT,
	progress TEXT,
	expires_at DOUBLE NOT NULL,
	epoch INTEGER NOT NULL,
	takes INTEGER NOT NULL,
	cancelled_at DATETIME,
	PRIMARY KEY (id)
);
CREATE TABLE lanes (
	lane VARCHAR(64) NOT NULL,
	next_turn DOUBLE DEFAULT '0' NOT NULL,
	paused_until DOUBLE DEFAULT '0' NOT NULL, pause_s DOUBLE,
	PRIMARY KEY (lane)
);
CREATE TABLE last_commits (
	process VARCHAR(32) NOT NULL,
	number BIGINT NOT NULL,
	made_at DOUBLE NOT NULL,
	PRIMARY KEY (process)
);
CREATE TABLE leases (
	tenant_id VARCHAR(36) NOT NULL,
	scope TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	PRIMARY KEY (tenant_id, scope)
);
CREATE TABLE message_updates (
	occurrence_id VARCHAR(32) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	change INTEGER NOT NULL,
	status VARCHAR(16) NOT NULL,
	facts TEXT,
	changed_at DATETIME NOT NULL,
	shown_at DATETIME,
	tries INTEGER NOT NULL,
	not_before DATETIME,
	error VARCHAR(32),
	error_message TEXT,
	PRIMARY KEY (occurrence_id)
);
CREATE TABLE model_activations (
	kind VARCHAR(16) NOT NULL,
	number INTEGER NOT NULL,
	sha256 VARCHAR(64),
	activated_at DATETIME NOT NULL,
	activated_by TEXT NOT NULL,
	PRIMARY KEY (kind, number)
);
CREATE TABLE organizations (
	id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	code VARCHAR(64) NOT NULL,
	is_active BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL, default_risk_channel TEXT,
	PRIMARY KEY (id),
	UNIQUE (tenant_id, code)
);
CREATE TABLE outbox (
	id VARCHAR(32) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	scope TEXT NOT NULL,
	alert_type VARCHAR(32) NOT NULL,
	subject TEXT NOT NULL,
	period VARCHAR(40) NOT NULL,
	route TEXT,
	facts TEXT NOT NULL,
	channel TEXT,
	status VARCHAR(16) NOT NULL,
	error VARCHAR(32),
	error_message TEXT,
	http_status INTEGER,
	sent_at DATETIME,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	position INTEGER NOT NULL,
	payload TEXT,
	claims INTEGER DEFAULT '0' NOT NULL,
	claimed_at DATETIME,
	retries INTEGER DEFAULT '0' NOT NULL,
	rate_limits INTEGER DEFAULT '0' NOT NULL,
	not_before DATETIME, alert_id VARCHAR(32), slack_channel VARCHAR(32), slack_ts VARCHAR(32), reconciled_claim INTEGER,
	PRIMARY KEY (id),
	UNIQUE (tenant_id, alert_type, subject, period)
);
CREATE TABLE predictions (
	id VARCHAR(32) NOT NULL,
	version INTEGER NOT NULL,
	is_newest BOOLEAN NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	organization_id VARCHAR(36) NOT NULL,
	company_id VARCHAR(36) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	reporting_year INTEGER NOT NULL,
	reporting_quarter INTEGER NOT NULL,
	model_sha256 VARCHAR(64) NOT NULL,
	prior DOUBLE NOT NULL,
	probability DOUBLE,
	risk_level VARCHAR(16),
	intercept DOUBLE NOT NULL,
	ratios TEXT NOT NULL,
	contributions TEXT NOT NULL,
	clamped TEXT,
	created_at DATETIME NOT NULL,
	created_by TEXT NOT NULL,
	deleted_at DATETIME,
	PRIMARY KEY (id, version)
);
CREATE TABLE refresh_tokens (
	token_hash VARCHAR(64) NOT NULL,
	family_id VARCHAR(36) NOT NULL,
	user_id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	issued_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	rotated_at DATETIME,
	revoked_at DATETIME,
	PRIMARY KEY (token_hash)
);
CREATE TABLE risk_models (
	sha256 VARCHAR(64) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	name VARCHAR(64) NOT NULL,
	horizon TEXT NOT NULL,
	trained_on TEXT NOT NULL,
	content BLOB NOT NULL,
	added_at DATETIME NOT NULL,
	PRIMARY KEY (sha256)
);
CREATE TABLE run_outcomes (
	run_id VARCHAR(40) NOT NULL,
	position INTEGER NOT NULL,
	alert_id VARCHAR(32) NOT NULL,
	alert_type VARCHAR(32) NOT NULL,
	subject TEXT NOT NULL,
	period VARCHAR(40) NOT NULL,
	route TEXT,
	facts TEXT NOT NULL,
	channel TEXT,
	outcome VARCHAR(16) NOT NULL,
	reason VARCHAR(32),
	error_message TEXT,
	http_status INTEGER,
	attempts INTEGER DEFAULT '0' NOT NULL,
	restated TEXT,
	PRIMARY KEY (run_id, position)
);
CREATE TABLE run_withdrawals (
	run_id VARCHAR(40) NOT NULL,
	alert_id VARCHAR(32) NOT NULL,
	alert_type VARCHAR(32) NOT NULL,
	subject TEXT NOT NULL,
	period VARCHAR(40) NOT NULL,
	route TEXT,
	facts TEXT NOT NULL,
	channel TEXT,
	status VARCHAR(16) NOT NULL,
	PRIMARY KEY (run_id, alert_id)
);
CREATE TABLE runs (
	run_id VARCHAR(40) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	scope TEXT NOT NULL,
	source_uri TEXT NOT NULL,
	period VARCHAR(40),
	dry_run BOOLEAN NOT NULL,
	status VARCHAR(16) NOT NULL,
	started_at DATETIME NOT NULL,
	finished_at DATETIME,
	error VARCHAR(64),
	error_detail TEXT,
	row_ledger TEXT,
	warnings TEXT,
	invalid_samples TEXT,
	"plan" TEXT,
	outcome_counts TEXT,
	progress TEXT,
	expires_at DOUBLE NOT NULL,
	epoch INTEGER,
	delivery_left_s DOUBLE,
	recorded_at DATETIME,
	cancelled_at DATETIME,
	support_notified_at DATETIME,
	plan_digest VARCHAR(64),
	withdrawn INTEGER DEFAULT '0' NOT NULL,
	restated INTEGER DEFAULT '0' NOT NULL, lease TEXT,
	PRIMARY KEY (run_id)
);
CREATE TABLE tenants (
	id VARCHAR(36) NOT NULL,
	name TEXT NOT NULL,
	code VARCHAR(64) NOT NULL,
	is_active BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (code)
);
INSERT INTO "tenants" VALUES('7a1c0a4e-5f0e-4d53-9d6b-3c1f2e8b9a60','Default','default',1,strftime('%Y-%m-%d %H:%M:%f000', 'now'),strftime('%Y-%m-%d %H:%M:%f000', 'now'));
CREATE TABLE users (
	id VARCHAR(36) NOT NULL,
	tenant_id VARCHAR(36) NOT NULL,
	organization_id VARCHAR(36),
	email VARCHAR(320) NOT NULL,
	name TEXT NOT NULL,
	role VARCHAR(32) NOT NULL,
	password_hash TEXT,
	is_active BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL,
	updated_at DATETIME NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (email)
);
CREATE INDEX attempts_by_age ON attempts (settled_at);
CREATE INDEX runs_by_start ON runs (tenant_id, started_at, run_id);
CREATE INDEX runs_by_status ON runs (tenant_id, status);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX outbox_by_scope ON outbox (tenant_id, scope);
CREATE INDEX outbox_by_run ON outbox (run_id, position);
CREATE INDEX outbox_open ON outbox (tenant_id, status) WHERE status IN ('pending', 'sending', 'failed', 'unknown');
CREATE VIEW alert_outcomes AS
        SELECT id, tenant_id, run_id, subject AS account_id, period AS month, alert_type,
               channel, status, error, error_message, http_status, sent_at, created_at, updated_at,
               facts ->> 'account_name' AS account_name, route AS account_region,
               facts ->> 'duration_months' AS duration_months,
               facts ->> 'duration_is_minimum' AS duration_is_minimum,
               facts ->> 'risk_start_month' AS risk_start_month,
               facts ->> 'arr' AS arr, facts ->> 'renewal_date' AS renewal_date,
               facts ->> 'account_owner' AS account_owner
        FROM outbox WHERE alert_type = 'risk_alert';
CREATE INDEX users_by_tenant ON users (tenant_id, organization_id);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant_id, created_at);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id);
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);
CREATE INDEX outbox_by_alert ON outbox (alert_id);
CREATE INDEX alerts_by_age ON alerts (tenant_id, created_at, id);
CREATE INDEX alerts_by_status ON alerts (tenant_id, status, created_at, id);
CREATE INDEX alerts_by_severity ON alerts (tenant_id, severity, created_at, id);
CREATE INDEX alerts_by_rule ON alerts (tenant_id, rule_name, created_at, id);
CREATE INDEX alerts_by_subject ON alerts (tenant_id, subject, created_at);
CREATE INDEX alerts_by_state ON alerts (tenant_id, status, severity);
CREATE UNIQUE INDEX alerts_open ON alerts (tenant_id, alert_type, rule_name, subject) WHERE status IN ('triggered', 'acknowledged') AND subject IS NOT NULL;
CREATE UNIQUE INDEX alerts_open_by_key ON alerts (tenant_id, dedup_key) WHERE status IN ('triggered', 'acknowledged') AND dedup_key IS NOT NULL;
CREATE INDEX alert_events_by_run ON alert_events (run_id, event);
CREATE INDEX companies_by_tenant ON companies (tenant_id, symbol, id);
CREATE UNIQUE INDEX companies_by_symbol ON companies (organization_id, symbol) WHERE deleted_at IS NULL;
CREATE INDEX company_access_by_user ON company_access (user_id);
CREATE INDEX predictions_by_tenant ON predictions (tenant_id, kind, id);
CREATE INDEX predictions_by_organization ON predictions (organization_id, kind, id);
CREATE UNIQUE INDEX predictions_by_period ON predictions (company_id, kind, reporting_year, reporting_quarter, model_sha256) WHERE is_newest AND deleted_at IS NULL;
CREATE INDEX alerts_by_route ON alerts (tenant_id, route, created_at, id);
CREATE INDEX runs_by_kind ON runs (kind, status, finished_at);
CREATE INDEX run_outcomes_in_digest ON run_outcomes (alert_id) WHERE outcome = 'in_digest';
CREATE INDEX jobs_by_age ON jobs (tenant_id, created_at, id);
CREATE INDEX jobs_by_status ON jobs (status, created_at);
CREATE INDEX message_updates_due ON message_updates (tenant_id) WHERE status = 'due';
CREATE INDEX message_updates_restated ON message_updates (tenant_id) WHERE facts IS NOT NULL
