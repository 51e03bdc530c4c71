-- Access tokens of OAuth clients, by hash: what a bearer may do until when. A token dies with its client.
CREATE TABLE oauth_token (
  token_hash TEXT PRIMARY KEY, key_id BIGINT NOT NULL, account_id BIGINT NOT NULL, client_id TEXT NOT NULL, scopes TEXT NOT NULL,
  expires_at BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX oauth_token_key ON oauth_token (key_id, expires_at);
