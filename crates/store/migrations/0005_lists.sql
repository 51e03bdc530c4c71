-- Lists of events walk one account's events down from a cursor; without this they walk everybody's.
-- Numbers are time-ordered, so each account's entries are appended to one place of the tree.
CREATE INDEX event_account ON event (account_id, id);
-- What takes a commission back, for the decision about either.
CREATE INDEX commission_corrects ON commission (corrects) WHERE corrects IS NOT NULL;
