-- Members of a program that may have reached what moves them to another one: to be looked at soon. `due_at` is when at the earliest.
CREATE TABLE upgrade_check (
  program_id BIGINT NOT NULL, partner_id BIGINT NOT NULL, account_id BIGINT NOT NULL, mark BIGINT NOT NULL, due_at BIGINT NOT NULL,
  PRIMARY KEY (program_id, partner_id)) /*sqlite WITHOUT ROWID*/;
