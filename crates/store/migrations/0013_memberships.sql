-- Memberships: a partner in a program, as it came in, by which token it is named, and whether it is barred there, by date.
-- `data` is JSON: what the caller says of it that nothing is decided by.
CREATE TABLE membership (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT NOT NULL, partner_id BIGINT NOT NULL,
  state TEXT NOT NULL, ref_token TEXT NOT NULL, data TEXT NOT NULL, created_at BIGINT NOT NULL, version BIGINT NOT NULL,
  UNIQUE (program_id, partner_id), UNIQUE (account_id, ref_token));
CREATE TABLE membership_status (membership_id BIGINT NOT NULL, from_at BIGINT NOT NULL, barred BOOLEAN NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (membership_id, from_at)) /*sqlite WITHOUT ROWID*/;

-- Whoever has a link, a customer or a home in a program is a member of it. The new change number shows them to every node.
UPDATE counter SET value = value + 1 WHERE name = 'version';
INSERT INTO membership (id, account_id, program_id, partner_id, state, ref_token, data, created_at, version)
  SELECT ROW_NUMBER() OVER (ORDER BY k.program_id, k.partner_id), p.account_id, k.program_id, k.partner_id, 'accepted',
    'p' || CAST(k.partner_id AS TEXT) || 'c' || CAST(k.program_id AS TEXT), '{}', p.created_at, (SELECT value FROM counter WHERE name = 'version')
  FROM (SELECT program_id, id AS partner_id FROM partner WHERE program_id IS NOT NULL
    UNION SELECT program_id, partner_id FROM link
    UNION SELECT c.program_id, a.partner_id FROM attribution a JOIN customer c ON c.id = a.customer_id) k
  JOIN partner p ON p.id = k.partner_id;
INSERT INTO counter (name, value) SELECT 'membership', COALESCE(MAX(id), 0) FROM membership;
INSERT INTO counter (name, value) VALUES ('reward', 0), ('promo_code', 0), ('product', 0);

-- What a reward says is a JSON document; what it pays stands in its campaigns' plans.
CREATE TABLE reward (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, document TEXT NOT NULL, is_hidden BOOLEAN NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX reward_account ON reward (account_id, id);
CREATE TABLE promo_code (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, membership_id BIGINT NOT NULL, code TEXT NOT NULL,
  document TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (account_id, code));
CREATE TABLE product (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, document TEXT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX product_account ON product (account_id, id);
