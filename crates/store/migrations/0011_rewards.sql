-- Payouts of anybody and of any unit, payments that send several of them, notes on commissions, and batches of actions.

-- `partner_id` or `customer_id` is paid; `promoter_id` is the partner that brought the customer. `until_at` is the end of
-- its period. `hidden_at`: no longer shown in the rewards dialect.
CREATE TABLE payout_of_payees (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT NOT NULL, partner_id BIGINT, customer_id BIGINT,
  promoter_id BIGINT, unit TEXT NOT NULL, amount BIGINT NOT NULL, commissions BIGINT NOT NULL, status TEXT NOT NULL, origin TEXT NOT NULL,
  settings TEXT NOT NULL, period_start BIGINT NOT NULL, until_at BIGINT NOT NULL, error TEXT, payments_batch_id BIGINT,
  created_at BIGINT NOT NULL, processing_started_at BIGINT, paid_at BIGINT, failed_at BIGINT, finished_at BIGINT, hidden_at BIGINT,
  CHECK ((partner_id IS NULL) <> (customer_id IS NULL)));
INSERT INTO payout_of_payees (id, account_id, program_id, partner_id, unit, amount, commissions, status, origin, settings, period_start, until_at,
    error, created_at, paid_at, failed_at, finished_at)
  SELECT id, account_id, program_id, partner_id, unit, amount, commissions, status, 'run', settings, created_at, until_at, error, created_at,
    CASE WHEN status = 'completed' THEN finished_at END, CASE WHEN status = 'failed' THEN finished_at END, finished_at FROM payout;
CREATE TABLE payout_item_of_payees (
  payout_id BIGINT NOT NULL REFERENCES payout_of_payees, commission_id BIGINT NOT NULL, live BOOLEAN NOT NULL,
  PRIMARY KEY (payout_id, commission_id)) /*sqlite WITHOUT ROWID*/;
INSERT INTO payout_item_of_payees (payout_id, commission_id, live) SELECT payout_id, commission_id, live FROM payout_item;
DROP TABLE payout_item;
DROP TABLE payout;
ALTER TABLE payout_of_payees RENAME TO payout;
ALTER TABLE payout_item_of_payees RENAME TO payout_item;
CREATE INDEX payout_account ON payout (account_id, id);
CREATE INDEX payout_batch ON payout (payments_batch_id) WHERE payments_batch_id IS NOT NULL;
-- `live` until the payout fails or is cancelled: a commission is in one live payout at most, whatever runs at once.
CREATE UNIQUE INDEX payout_item_live ON payout_item (commission_id) WHERE live;

-- Every approved reward has a payout of its own; numbers are drawn from one source, so a commission's is free here.
INSERT INTO payout (id, account_id, program_id, partner_id, customer_id, unit, amount, commissions, status, origin, settings, period_start, until_at, created_at)
  SELECT id, account_id, program_id, partner_id, CASE WHEN partner_id IS NULL THEN customer_id END, unit, amount, 1, 'pending', 'reward', '{}',
    created_at, created_at, created_at FROM commission
  WHERE status = 'approved' AND unit IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per');
INSERT INTO payout_item (payout_id, commission_id, live) SELECT id, id, TRUE FROM payout WHERE origin = 'reward';

-- The amount of what was sold, and what the team says about it. `promoter_id`: who brought the customer that it is for.
-- `made_by`: who made it by hand; it has no fact (0), no person (0), and a cell of its own.
ALTER TABLE commission ADD COLUMN sale_amount BIGINT;
ALTER TABLE commission ADD COLUMN sale_currency TEXT;
ALTER TABLE commission ADD COLUMN promoter_id BIGINT;
ALTER TABLE commission ADD COLUMN internal_note TEXT;
ALTER TABLE commission ADD COLUMN external_note TEXT;
ALTER TABLE commission ADD COLUMN made_by TEXT;
ALTER TABLE commission ADD COLUMN hidden_at BIGINT;

-- Payouts that are sent together by one method.
CREATE TABLE payments_batch (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, method TEXT NOT NULL, status TEXT NOT NULL, payouts BIGINT NOT NULL,
  error TEXT, created_at BIGINT NOT NULL, processing_started_at BIGINT, completed_at BIGINT);
CREATE INDEX payments_batch_account ON payments_batch (account_id, id);

-- One action on many objects. An item is done in the transaction of its move, so a batch that was cut short goes on where
-- it was. `parameters` is JSON. Whoever holds the lease runs it.
CREATE TABLE batch_process (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, action TEXT NOT NULL, parameters TEXT NOT NULL, actor TEXT NOT NULL,
  status TEXT NOT NULL, total BIGINT NOT NULL, processed BIGINT NOT NULL, failed BIGINT NOT NULL, lease_until BIGINT, lease_token TEXT,
  created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, finished_at BIGINT);
CREATE INDEX batch_process_account ON batch_process (account_id, id);
CREATE INDEX batch_process_waiting ON batch_process (id) WHERE finished_at IS NULL;
CREATE INDEX batch_process_finished ON batch_process (finished_at) WHERE finished_at IS NOT NULL;
CREATE TABLE batch_item (
  batch_id BIGINT NOT NULL REFERENCES batch_process, number BIGINT NOT NULL, object_id BIGINT NOT NULL, is_done BOOLEAN NOT NULL, error TEXT,
  PRIMARY KEY (batch_id, number)) /*sqlite WITHOUT ROWID*/;
