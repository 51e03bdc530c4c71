-- Whom a promoter lost to another one together with all that it had brought: no binding says so any more.
CREATE TABLE referral_lost (
  customer_id BIGINT NOT NULL,
  partner_id BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  lost_at BIGINT NOT NULL,
  PRIMARY KEY (customer_id, partner_id)
);
CREATE INDEX referral_lost_account ON referral_lost (account_id, partner_id);
