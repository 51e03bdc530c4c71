-- Whose user a partner's token belongs to.
ALTER TABLE api_key ADD COLUMN partner_id BIGINT;

-- What was sold, given back and cancelled in a range of time, for the reports of one account.
CREATE INDEX fact_report ON fact (account_id, type, at) WHERE source <> 'events' AND type IN ('sale', 'refund', 'event');
CREATE INDEX customer_created ON customer (account_id, created_at);
