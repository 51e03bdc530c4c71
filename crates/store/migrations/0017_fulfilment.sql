-- What was taken back in a cell: a denial must leave no debt there.
CREATE INDEX commission_taken_back ON commission (person_id, cell) WHERE amount < 0;
