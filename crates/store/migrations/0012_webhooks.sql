-- Subscriptions of the rewards dialect are endpoints of their own kind: `dialect` says in whose calls one is seen. They have
-- programs to hear of (JSON; none named: all), a time limit, a row of retries, headers (JSON) and a password of their own.
ALTER TABLE endpoint ADD COLUMN dialect TEXT NOT NULL DEFAULT 'referral';
ALTER TABLE endpoint ADD COLUMN programs TEXT NOT NULL DEFAULT '[]';
ALTER TABLE endpoint ADD COLUMN timeout_seconds BIGINT NOT NULL DEFAULT 10;
ALTER TABLE endpoint ADD COLUMN retry_profile TEXT NOT NULL DEFAULT 'long';
ALTER TABLE endpoint ADD COLUMN max_retries BIGINT NOT NULL DEFAULT 10;
ALTER TABLE endpoint ADD COLUMN headers TEXT NOT NULL DEFAULT '{}';
ALTER TABLE endpoint ADD COLUMN basic_auth_user TEXT;
ALTER TABLE endpoint ADD COLUMN sealed_basic_auth TEXT;
ALTER TABLE endpoint ADD COLUMN basic_auth_enabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE endpoint ADD COLUMN updated_at BIGINT NOT NULL DEFAULT 0;
UPDATE endpoint SET updated_at = created_at;
-- When the oldest dead letter of a subscription that fails is tried again.
ALTER TABLE endpoint ADD COLUMN probe_at BIGINT;
CREATE INDEX endpoint_probe ON endpoint (probe_at) WHERE probe_at IS NOT NULL;

-- The secret that a delivery was made under, once its endpoint has another one.
ALTER TABLE delivery ADD COLUMN sealed_secret TEXT;
CREATE INDEX delivery_dead ON delivery (endpoint_id, id) WHERE status = 'failed' AND NOT is_test;
