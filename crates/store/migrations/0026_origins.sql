-- Where a commission comes from: the keys of the facts that brought it, of refunds those of their sales, as numbers
-- (`ledger::Origin`). NULL: it was written before this; the fact that it is for says it.
ALTER TABLE commission ADD COLUMN origins TEXT;
-- In which cells something was denied: what takes back in those has to know of whom.
CREATE INDEX commission_denied ON commission (person_id, cell) WHERE status = 'denied';
