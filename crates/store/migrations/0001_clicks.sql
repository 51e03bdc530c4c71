-- Clicks: a file and a writer of their own on SQLite, a connection of their own on PostgreSQL (docs/adr/0005-click-rows.md).

-- `flags` are the bits of `domain::click::visitor::ClickFlags`; `counts` is false for bots, prefetches and rejected clicks.
CREATE TABLE click (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, partner_id BIGINT, link_id BIGINT, session TEXT NOT NULL,
  ip TEXT, country TEXT, region TEXT, city TEXT, device_type TEXT NOT NULL, browser TEXT, os TEXT, user_agent TEXT, referer TEXT,
  fingerprint TEXT, utm TEXT NOT NULL, landing_page TEXT, lang TEXT, params TEXT NOT NULL, reject_reason TEXT,
  flags BIGINT NOT NULL, counts BOOLEAN NOT NULL, clicked_at BIGINT NOT NULL);
CREATE INDEX click_session ON click (session, id);
-- A link has one partner, so this serves lists by partner too: one read per link of the partner.
CREATE INDEX click_link ON click (link_id, id) WHERE link_id IS NOT NULL;
