-- The caller's own id of a commission that was made by hand; what earned every other one is its fact's.
ALTER TABLE commission ADD COLUMN event_key TEXT;
-- Those that were made before: their ids stand in the inbox, behind ' commission:'. One pass over the inbox.
UPDATE commission SET event_key = substr(i.event_key, 13) FROM inbox i
  WHERE i.event_key LIKE ' commission:%' AND i.event_id = commission.id AND commission.fact_id = 0;
