-- Which node holds which number until when, by the server's clock, in microseconds since 1970 (`store::node`).
CREATE TABLE node_lease (number BIGINT PRIMARY KEY, holder TEXT NOT NULL, lease_until BIGINT NOT NULL);
