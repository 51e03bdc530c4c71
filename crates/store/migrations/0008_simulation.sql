-- What a draft plan would have paid. `body` is JSON: what was asked while `running`, what was found when `done`.
CREATE TABLE simulation (
  id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL REFERENCES account, program_id BIGINT NOT NULL, status TEXT NOT NULL, asked TEXT NOT NULL,
  body TEXT NOT NULL, created_at BIGINT NOT NULL, finished_at BIGINT);
