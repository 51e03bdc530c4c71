//! SQL is here and nowhere else: one text for SQLite and PostgreSQL.
