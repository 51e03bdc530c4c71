-- The caller's own id of a commission that was made by hand; what earned every other one is its fact's.
ALTER TABLE commission ADD COLUMN event_key TEXT;
-- Those that were made before: their ids stand in the inbox, behind ' commission:'.
UPDATE commission SET event_key = (SELECT substr(i.event_key, 13) FROM inbox i
  WHERE i.program_id = commission.program_id AND i.event_id = commission.id AND i.event_key LIKE ' commission:%')
WHERE fact_id = 0;
