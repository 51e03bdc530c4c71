-- Customers and facts as brokers send them. A person's `email_key` is what it is known by: an email, or with a space in
-- front, which no trimmed email has, ` person:…` or ` customer:…` with the caller's id. A person that turned out to be
-- another one stays as a name of that one.
ALTER TABLE person ADD COLUMN merged_into BIGINT;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;

-- `is_placeholder`: facts came for it, and its record did not yet. `is_registered`: its record says when it registered.
ALTER TABLE customer ADD COLUMN is_placeholder BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE customer ADD COLUMN is_registered BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE customer ADD COLUMN revision BIGINT;
ALTER TABLE customer ADD COLUMN name TEXT;
ALTER TABLE customer ADD COLUMN email TEXT;
ALTER TABLE customer ADD COLUMN campaign TEXT;
ALTER TABLE customer ADD COLUMN attributes TEXT;

-- Dated: the binding of an account to a partner, with its evidence. Each account of a person has its own.
ALTER TABLE attribution RENAME TO attribution_of_persons;
CREATE TABLE attribution (
  person_id BIGINT NOT NULL, customer_id BIGINT NOT NULL, from_at BIGINT NOT NULL, account_id BIGINT NOT NULL, partner_id BIGINT NOT NULL,
  link_id BIGINT, click_id BIGINT, clicked_at BIGINT, evidence TEXT NOT NULL, reason TEXT, recorded_at BIGINT NOT NULL,
  PRIMARY KEY (person_id, customer_id, from_at)) /*sqlite WITHOUT ROWID*/;
INSERT INTO attribution (person_id, customer_id, from_at, account_id, partner_id, link_id, click_id, clicked_at, evidence, reason, recorded_at)
  SELECT a.person_id, c.id, a.from_at, a.account_id, a.partner_id, a.link_id, a.click_id, a.clicked_at, a.evidence, a.reason, a.recorded_at
  FROM attribution_of_persons a JOIN customer c ON c.person_id = a.person_id;
DROP TABLE attribution_of_persons;

-- What a record says beside what is read. A fact is found by its key whoever's it is, but for those of events, which are
-- found by their events' keys.
ALTER TABLE fact ADD COLUMN data TEXT;
CREATE INDEX fact_name ON fact (program_id, fact_key, type, source) WHERE source <> 'events';
