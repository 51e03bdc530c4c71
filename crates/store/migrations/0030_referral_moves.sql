-- A referral that goes to another program: its customer there takes the place of the one that it leaves. `until_at`: from when on a
-- binding is nobody's, because the customer left. `referred_at`: since when it was its partner's where it came from with this binding.
ALTER TABLE attribution ADD COLUMN until_at BIGINT;
ALTER TABLE attribution ADD COLUMN referred_at BIGINT;
-- Since when another customer stands for it.
ALTER TABLE customer ADD COLUMN moved_at BIGINT;

-- One human's customers one after the other, each from a moment on; `root_id` is the first, which is in it from the beginning.
CREATE TABLE referral_move (
  root_id BIGINT NOT NULL, from_at BIGINT NOT NULL, account_id BIGINT NOT NULL, customer_id BIGINT NOT NULL,
  PRIMARY KEY (root_id, from_at)) /*sqlite WITHOUT ROWID*/;
CREATE INDEX referral_move_customer ON referral_move (customer_id);
