-- One known text, sealed under the master key: a server with another key is refused before it seals anything.
CREATE TABLE seal_check (id BIGINT PRIMARY KEY, sealed TEXT NOT NULL);
