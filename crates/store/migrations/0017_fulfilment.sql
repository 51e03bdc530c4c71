-- What was taken back in a cell: a denial must leave no debt there.
CREATE INDEX commission_taken_back ON commission (person_id, cell) WHERE amount < 0;

-- A delivery whose answer says that a reward was delivered: the payout that it is of. `has_issues`: nobody confirmed that a
-- reward was delivered, however often its receiver was asked.
ALTER TABLE delivery ADD COLUMN payout_id BIGINT;
ALTER TABLE payout ADD COLUMN has_issues BOOLEAN NOT NULL DEFAULT FALSE;
CREATE INDEX delivery_payout ON delivery (payout_id) WHERE payout_id IS NOT NULL;
CREATE INDEX payout_issues ON payout (account_id, id) WHERE has_issues;

-- The entries of one payout, for its statement.
CREATE INDEX ledger_entry_payout ON ledger_entry (payout_id) WHERE payout_id IS NOT NULL;
