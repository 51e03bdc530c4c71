-- A settlement reads no more days of a person than what it touches depends on. `trading_at`: when a trading fact stands;
-- NULL of every other kind, which are few and read whole; before all time of a revision that another one took the place of.
ALTER TABLE fact ADD COLUMN trading_at BIGINT;
UPDATE fact SET trading_at = at WHERE type IN ('trading_day', 'trade', 'kpi');
UPDATE fact SET trading_at = -9000000000000000000 WHERE trading_at IS NOT NULL AND EXISTS (SELECT 1 FROM fact later
  WHERE later.program_id = fact.program_id AND later.fact_key = fact.fact_key AND later.type = fact.type
  AND later.source = fact.source AND later.source <> 'events'
  AND (COALESCE(later.revision, -9000000000000000000), later.id) > (COALESCE(fact.revision, -9000000000000000000), fact.id));
DROP INDEX fact_person;
CREATE INDEX fact_person ON fact (person_id, trading_at);

-- By which ways trading came for a person, as `kind:source`, at least; NULL: not known yet, all of it has to be read.
ALTER TABLE person ADD COLUMN trading TEXT;

-- The first day of the period that a cell is of; empty where it is of none, or of a week from before this column: those are always read.
ALTER TABLE cell ADD COLUMN first_day TEXT NOT NULL DEFAULT '';
UPDATE cell SET first_day = COALESCE((SELECT CASE LENGTH(m.for_period) WHEN 7 THEN m.for_period || '-01' WHEN 10 THEN m.for_period
  ELSE '' END FROM commission m WHERE m.id = cell.last_commission_id), '') WHERE cell LIKE '%|%|%|%|period:%' OR cell LIKE '%|%|%|%|all:%';
CREATE INDEX cell_first_day ON cell (person_id, first_day);
DROP INDEX cell_payee;
CREATE INDEX cell_payee ON cell (person_id, payee_id, first_day) WHERE payee_id IS NOT NULL;
