-- Since when a promo code is archived, and whether its promoter made it: a promoter takes back only what it made itself.
ALTER TABLE promo_code ADD COLUMN archived_at BIGINT;
ALTER TABLE promo_code ADD COLUMN by_promoter BOOLEAN NOT NULL DEFAULT FALSE;
