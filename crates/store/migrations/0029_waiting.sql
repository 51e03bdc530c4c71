-- Whether an event is attributed to a click of an advertisement whose referrals wait: a browser's event binds when it is confirmed,
-- long after its click was looked at.
ALTER TABLE event ADD COLUMN is_advertised BOOLEAN NOT NULL DEFAULT FALSE;
-- For which customer a commission waits that would have been approved: it is approved with it. NULL: it waits for nobody.
ALTER TABLE commission ADD COLUMN waits_for BIGINT;
CREATE INDEX commission_waits ON commission (waits_for) WHERE waits_for IS NOT NULL;
