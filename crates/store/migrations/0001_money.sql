-- The first schema: configuration, people, events, facts, commissions, ledger, deliveries.
--
-- One text for both engines (docs/adr/0001): SQLite reads BIGINT PRIMARY KEY as INTEGER PRIMARY KEY, and what stands
-- in /*sqlite …*/ is for SQLite alone. Times are microseconds since 1970, UTC. Amounts are millionths. Every row
-- leads to its account. `version` on configuration is the account-wide change number by which nodes refresh.

CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO counter (name, value) VALUES ('version', 0), ('account', 0), ('program', 999), ('partner', 0), ('link', 0), ('endpoint', 0), ('api_key', 0), ('person', 0), ('customer', 0), ('plan_version', 0), ('ledger_account', 0), ('node', 0), ('user', 0);

CREATE TABLE account (id BIGINT PRIMARY KEY, name TEXT NOT NULL, created_at BIGINT NOT NULL, version BIGINT NOT NULL);

CREATE TABLE dashboard_user (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, email TEXT NOT NULL, password_hash TEXT NOT NULL,
  role TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (account_id, email));

CREATE TABLE program (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, name TEXT NOT NULL, site_url TEXT NOT NULL,
  settings TEXT NOT NULL, created_at BIGINT NOT NULL, version BIGINT NOT NULL);

CREATE TABLE partner (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, external_id TEXT NOT NULL, name TEXT NOT NULL,
  email TEXT, program_id BIGINT, plan TEXT, rates TEXT NOT NULL, metadata TEXT NOT NULL,
  created_at BIGINT NOT NULL, version BIGINT NOT NULL, UNIQUE (account_id, external_id));

-- Dated: what is true of a partner from an instant on.
CREATE TABLE partner_parent (partner_id BIGINT NOT NULL, from_at BIGINT NOT NULL, parent_id BIGINT, version BIGINT NOT NULL, PRIMARY KEY (partner_id, from_at)) /*sqlite WITHOUT ROWID*/;
CREATE TABLE partner_status (partner_id BIGINT NOT NULL, from_at BIGINT NOT NULL, suspended BOOLEAN NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (partner_id, from_at)) /*sqlite WITHOUT ROWID*/;

CREATE TABLE plan_version (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, name TEXT NOT NULL, number BIGINT NOT NULL,
  document TEXT NOT NULL, created_at BIGINT NOT NULL, version BIGINT NOT NULL, UNIQUE (account_id, name, number));
CREATE TABLE plan_activation (
  account_id BIGINT NOT NULL, name TEXT NOT NULL, from_at BIGINT NOT NULL, number BIGINT NOT NULL, version BIGINT NOT NULL,
  PRIMARY KEY (account_id, name, from_at)) /*sqlite WITHOUT ROWID*/;

CREATE TABLE exchange_rate (
  account_id BIGINT NOT NULL, day TEXT NOT NULL, from_currency TEXT NOT NULL, to_currency TEXT NOT NULL, rate TEXT NOT NULL,
  version BIGINT NOT NULL, PRIMARY KEY (account_id, from_currency, to_currency, day)) /*sqlite WITHOUT ROWID*/;

CREATE TABLE link (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT NOT NULL, partner_id BIGINT NOT NULL,
  landing_page TEXT NOT NULL, encrypt_partner_id BOOLEAN NOT NULL, region_routing BOOLEAN NOT NULL, lang TEXT,
  utm TEXT NOT NULL, tracking_id TEXT NOT NULL, status TEXT NOT NULL, metadata TEXT NOT NULL, is_default BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL, version BIGINT NOT NULL);
CREATE UNIQUE INDEX link_default ON link (program_id, partner_id) WHERE is_default;

CREATE TABLE api_key (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT, kind TEXT NOT NULL,
  lookup TEXT NOT NULL UNIQUE, secret_hash TEXT NOT NULL, hint TEXT NOT NULL, origins TEXT NOT NULL, programs TEXT NOT NULL,
  permissions TEXT NOT NULL, expires_at BIGINT, revoked_at BIGINT, created_at BIGINT NOT NULL, version BIGINT NOT NULL);

CREATE TABLE endpoint (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, url TEXT NOT NULL, enabled_events TEXT NOT NULL,
  description TEXT, metadata TEXT NOT NULL, payload_style TEXT NOT NULL, status TEXT NOT NULL, sealed_secret TEXT NOT NULL,
  sealed_previous TEXT, previous_until BIGINT, rotated_at BIGINT, secret_hint TEXT NOT NULL, slow_until BIGINT,
  slow_answers BIGINT NOT NULL, failing_since BIGINT, disabled_reason TEXT,
  deleted_at BIGINT, created_at BIGINT NOT NULL, version BIGINT NOT NULL);

CREATE TABLE person (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, email_key TEXT NOT NULL, name TEXT,
  event_types TEXT NOT NULL, qualified_at BIGINT, created_at BIGINT NOT NULL, UNIQUE (program_id, email_key));
CREATE TABLE customer (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, person_id BIGINT NOT NULL, external_id TEXT,
  country TEXT, account_type TEXT, registered_at BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX customer_person ON customer (person_id);
CREATE UNIQUE INDEX customer_external ON customer (program_id, external_id) WHERE external_id IS NOT NULL;

-- Dated: the binding of a person to a partner, with its evidence.
CREATE TABLE attribution (
  person_id BIGINT NOT NULL, from_at BIGINT NOT NULL, account_id BIGINT NOT NULL, partner_id BIGINT NOT NULL, link_id BIGINT,
  click_id BIGINT, clicked_at BIGINT, evidence TEXT NOT NULL, reason TEXT, recorded_at BIGINT NOT NULL,
  PRIMARY KEY (person_id, from_at)) /*sqlite WITHOUT ROWID*/;

CREATE TABLE event (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, type TEXT NOT NULL, person_id BIGINT,
  click_id BIGINT, link_id BIGINT, partner_id BIGINT, amount TEXT, currency TEXT, is_conversion BOOLEAN NOT NULL,
  is_duplicate BOOLEAN NOT NULL, state TEXT NOT NULL, evidence TEXT NOT NULL, evidence_reason TEXT, occurred_at BIGINT NOT NULL,
  received_at BIGINT NOT NULL, event_key TEXT, metadata TEXT, data TEXT, key_id BIGINT NOT NULL);
CREATE INDEX event_person ON event (person_id, id) WHERE person_id IS NOT NULL;
CREATE INDEX event_unverified ON event (person_id) WHERE state = 'unverified';

-- What was answered to a caller's own key, written with its effect and never decided by a cache.
CREATE TABLE inbox (
  program_id BIGINT NOT NULL, event_key TEXT NOT NULL, event_id BIGINT NOT NULL, fingerprint TEXT NOT NULL,
  PRIMARY KEY (program_id, event_key)) /*sqlite WITHOUT ROWID*/;
CREATE TABLE idempotency (
  key_id BIGINT NOT NULL, scope TEXT NOT NULL, fingerprint TEXT NOT NULL, status BIGINT NOT NULL, body TEXT NOT NULL,
  created_at BIGINT NOT NULL, PRIMARY KEY (key_id, scope)) /*sqlite WITHOUT ROWID*/;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- Every revision of every fact; the greatest revision of a key counts.
CREATE TABLE fact (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, person_id BIGINT NOT NULL, customer_id BIGINT NOT NULL,
  type TEXT NOT NULL, fact_key TEXT NOT NULL, revision BIGINT, at BIGINT NOT NULL, body TEXT NOT NULL, source TEXT NOT NULL,
  event_id BIGINT, received_at BIGINT NOT NULL);
CREATE INDEX fact_person ON fact (person_id, id);

CREATE TABLE held (
  fact_id BIGINT NOT NULL, reason TEXT NOT NULL, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, person_id BIGINT NOT NULL,
  detail TEXT NOT NULL, since BIGINT NOT NULL, PRIMARY KEY (fact_id, reason)) /*sqlite WITHOUT ROWID*/;
CREATE INDEX held_person ON held (person_id);

CREATE TABLE cell (
  person_id BIGINT NOT NULL, cell TEXT NOT NULL, posted BIGINT NOT NULL, last_commission_id BIGINT NOT NULL,
  PRIMARY KEY (person_id, cell)) /*sqlite WITHOUT ROWID*/;

CREATE TABLE commission (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, partner_id BIGINT, customer_id BIGINT,
  person_id BIGINT NOT NULL, rule TEXT NOT NULL, level BIGINT NOT NULL, cell TEXT NOT NULL, status TEXT NOT NULL, unit TEXT NOT NULL,
  amount BIGINT NOT NULL, period TEXT NOT NULL, for_period TEXT NOT NULL, payable_at BIGINT NOT NULL, fact_id BIGINT NOT NULL,
  event_id BIGINT, corrects BIGINT, plan TEXT NOT NULL, plan_number BIGINT NOT NULL, posted_before BIGINT NOT NULL,
  explanation TEXT NOT NULL, created_at BIGINT NOT NULL);

-- Double entry, append-only: entries of one transaction add up to nothing; each account is a chain of hashes.
CREATE TABLE ledger_account (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, owner TEXT NOT NULL, unit TEXT NOT NULL, name TEXT NOT NULL,
  balance BIGINT NOT NULL, entries BIGINT NOT NULL, head_hash TEXT NOT NULL, UNIQUE (program_id, owner, unit, name));
CREATE TABLE ledger_entry (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, ledger_account_id BIGINT NOT NULL, number BIGINT NOT NULL, transaction_id BIGINT NOT NULL,
  commission_id BIGINT, amount BIGINT NOT NULL, hash TEXT NOT NULL, previous_hash TEXT NOT NULL, at BIGINT NOT NULL);

-- The outbox. A row holds the exact bytes to send; body is the JSON text. `attempts` counts all attempts,
-- `attempts_before` those before it was last queued by hand. The heads of the queues are read per endpoint.
CREATE TABLE delivery (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, endpoint_id BIGINT NOT NULL, event_id BIGINT, event_type TEXT NOT NULL, body TEXT NOT NULL,
  status TEXT NOT NULL, attempts BIGINT NOT NULL, attempts_before BIGINT NOT NULL, due_at BIGINT NOT NULL, lease_until BIGINT,
  lease_token TEXT, is_test BOOLEAN NOT NULL, last_status BIGINT, last_error TEXT, reason TEXT, created_at BIGINT NOT NULL, finished_at BIGINT);
CREATE INDEX delivery_queue ON delivery (endpoint_id, due_at, id) WHERE status = 'pending' AND NOT is_test;
CREATE INDEX delivery_test ON delivery (id) WHERE status = 'pending' AND is_test;
CREATE INDEX delivery_endpoint ON delivery (endpoint_id, id);
CREATE TABLE delivery_attempt (
  delivery_id BIGINT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL, status BIGINT, duration_millis BIGINT NOT NULL, response TEXT, error TEXT,
  PRIMARY KEY (delivery_id, number)) /*sqlite WITHOUT ROWID*/;
