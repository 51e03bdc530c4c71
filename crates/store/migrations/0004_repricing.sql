-- What a dated change makes worth another look, person by person, until it was priced again.
CREATE TABLE repricing (person_id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, program_id BIGINT NOT NULL, mark BIGINT NOT NULL, due_at BIGINT NOT NULL DEFAULT 0);

-- Periods that end on or before this day are closed in the program.
ALTER TABLE program ADD COLUMN closed_before TEXT;

-- What caps had taken away when the cell was last posted. A cell that adds up over all persons of a program has the
-- program's number, negated, in the place of a person's.
ALTER TABLE cell ADD COLUMN cut_off BIGINT NOT NULL DEFAULT 0;
