-- The life of commissions: when one was decided and fell due, the payouts that take them, and who did what.

-- `due_at`: since when its amount is in `payable`; from the start where it was approved with its hold over.
ALTER TABLE commission ADD COLUMN decided_at BIGINT;
ALTER TABLE commission ADD COLUMN due_at BIGINT;
UPDATE commission SET due_at = created_at WHERE status = 'approved' AND payable_at <= created_at;
CREATE INDEX commission_hold ON commission (payable_at) WHERE status = 'approved' AND due_at IS NULL;
CREATE INDEX commission_due ON commission (program_id, partner_id, unit) WHERE status = 'approved' AND due_at IS NOT NULL;

ALTER TABLE ledger_entry ADD COLUMN payout_id BIGINT;
-- A chain has one entry of each number; statements read by it.
CREATE UNIQUE INDEX ledger_entry_number ON ledger_entry (ledger_account_id, number);

CREATE TABLE payout (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT NOT NULL, partner_id BIGINT NOT NULL,
  unit TEXT NOT NULL, amount BIGINT NOT NULL, commissions BIGINT NOT NULL, status TEXT NOT NULL, settings TEXT NOT NULL,
  until_at BIGINT NOT NULL, error TEXT, created_at BIGINT NOT NULL, finished_at BIGINT);
CREATE INDEX payout_account ON payout (account_id, id);
-- `live` until the payout fails or is cancelled: a commission is in one live payout at most, whatever runs at once.
CREATE TABLE payout_item (
  payout_id BIGINT NOT NULL REFERENCES payout, commission_id BIGINT NOT NULL, live BOOLEAN NOT NULL,
  PRIMARY KEY (payout_id, commission_id)) /*sqlite WITHOUT ROWID*/;
CREATE UNIQUE INDEX payout_item_live ON payout_item (commission_id) WHERE live;

-- How a partner is paid: JSON `{method, minimum, details}`.
CREATE TABLE partner_payout (
  partner_id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, settings TEXT NOT NULL);

-- A held fact that somebody took off the list, with the reason given.
CREATE TABLE held_dismissal (
  fact_id BIGINT NOT NULL, reason TEXT NOT NULL, account_id BIGINT NOT NULL, note TEXT NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (fact_id, reason)) /*sqlite WITHOUT ROWID*/;

-- Who did what. `object` names its kind and number, as in `commission:7`; `detail` is JSON.
CREATE TABLE audit (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, at BIGINT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX audit_account ON audit (account_id, id);
