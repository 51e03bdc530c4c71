-- Whose facts a partner's cells may hold something of: every person that was ever bound to it, also where another binding
-- took its place. Persons are priced with those that they share a partner with, and nobody else is read.
CREATE TABLE bound (
  program_id BIGINT NOT NULL, partner_id BIGINT NOT NULL, person_id BIGINT NOT NULL,
  PRIMARY KEY (program_id, partner_id, person_id)) /*sqlite WITHOUT ROWID*/;
CREATE INDEX bound_person ON bound (person_id);
INSERT INTO bound (program_id, partner_id, person_id)
  SELECT DISTINCT p.program_id, a.partner_id, p.id FROM attribution a JOIN person p ON p.id = a.person_id;

-- Whose a cell is that belongs to no person, so that it is found without its neighbours.
ALTER TABLE cell ADD COLUMN payee_id BIGINT;
UPDATE cell SET payee_id = (SELECT COALESCE(m.partner_id, m.customer_id) FROM commission m WHERE m.id = cell.last_commission_id)
  WHERE person_id < 0;
CREATE INDEX cell_payee ON cell (person_id, payee_id) WHERE payee_id IS NOT NULL;

-- What of the cell was denied: a correction that takes all of that back is denied with it.
ALTER TABLE cell ADD COLUMN denied BIGINT NOT NULL DEFAULT 0;
UPDATE cell SET denied = s.total FROM
  (SELECT person_id, cell, CAST(SUM(amount) AS BIGINT) AS total FROM commission WHERE status = 'denied' GROUP BY person_id, cell) s
  WHERE cell.person_id = s.person_id AND cell.cell = s.cell;
