//! SQL texts, written once in the dialect that both engines share and rewritten once for SQLite.
//!
//! Every text made with [`crate::sql!`] or [`crate::batch_sql!`] is registered, so that one test prepares all of them
//! on both engines (`tests/statements.rs`).

use super::batch::Batch;
use std::sync::OnceLock;

/// One statement: parameters are `$1`, `$2` …; `FOR UPDATE` is dropped for SQLite, whose one writer has the lock.
#[derive(Debug)]
pub struct Statement {
    /// The text as PostgreSQL gets it.
    pub text: &'static str,
    sqlite: OnceLock<String>,
}

impl Statement {
    /// For [`crate::sql!`] only.
    pub const fn new(text: &'static str) -> Self {
        Self { text, sqlite: OnceLock::new() }
    }
    /// The text as SQLite gets it.
    pub fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| rewrite_for_sqlite(self.text))
    }
}

/// One set-based statement: `{batch}` stands for the rows, with the columns of its [`Batch`] type. Its own parameters
/// come first; the rows take the numbers after them.
#[derive(Debug)]
pub struct BatchStatement {
    text: &'static str,
    columns: fn() -> &'static [(&'static str, &'static str)],
    parameters: usize,
    postgres: OnceLock<String>,
    sqlite: OnceLock<SqliteBatch>,
}

/// How SQLite runs a set-based statement.
#[derive(Debug)]
pub enum SqliteBatch {
    /// Once for each row, its values bound: for what only adds or changes rows, a third of the time of a document.
    ByRow(String),
    /// Once, all rows in one JSON document: for what asks about rows.
    Document(String),
}

impl BatchStatement {
    /// For [`crate::batch_sql!`] only.
    pub const fn new<B: Batch>(text: &'static str, parameters: usize) -> Self {
        Self { text, columns: B::columns_of_type, parameters, postgres: OnceLock::new(), sqlite: OnceLock::new() }
    }
    /// How many parameters stand before the rows.
    pub fn parameters(&self) -> usize {
        self.parameters
    }
    /// The text as PostgreSQL gets it: one array per column.
    pub fn postgres(&self) -> &str {
        self.postgres.get_or_init(|| {
            let columns = (self.columns)();
            let arrays: Vec<_> =
                columns.iter().enumerate().map(|(i, (_, t))| format!("${}::{t}[]", self.parameters + i + 1)).collect();
            let names: Vec<_> = columns.iter().map(|(n, _)| *n).collect();
            self.text.replace("{batch}", &format!("unnest({}) AS batch({})", arrays.join(", "), names.join(", ")))
        })
    }
    /// The text as SQLite gets it, and how.
    pub fn sqlite_batch(&self) -> &SqliteBatch {
        self.sqlite.get_or_init(|| {
            let columns = (self.columns)();
            if let Some(text) = by_row(self.text, columns, self.parameters) {
                return SqliteBatch::ByRow(rewrite_for_sqlite(&text));
            }
            let columns: Vec<_> =
                columns.iter().enumerate().map(|(i, (name, _))| format!("value->>{i} AS {name}")).collect();
            let rows = format!("(SELECT {} FROM json_each(?{})) AS batch", columns.join(", "), self.parameters + 1);
            SqliteBatch::Document(rewrite_for_sqlite(&self.text.replace("{batch}", &rows)))
        })
    }
    /// The text as SQLite gets it.
    pub fn sqlite(&self) -> &str {
        match self.sqlite_batch() {
            SqliteBatch::ByRow(text) | SqliteBatch::Document(text) => text,
        }
    }
}

/// `INSERT … SELECT … FROM {batch} WHERE true …` and `UPDATE … FROM {batch} WHERE …` for a single row, whose values are
/// parameters; `None` for any other statement.
fn by_row(text: &str, columns: &[(&str, &str)], parameters: usize) -> Option<String> {
    let (before, after) = text.split_once(" FROM {batch}")?;
    // Within a subquery the rows are asked about, not gone through: its FROM cannot go away.
    if after.contains("{batch}") || is_within_parentheses(before) {
        return None;
    }
    if text.starts_with("UPDATE ") {
        return Some(with_values(before, columns, parameters, false) + &with_values(after, columns, parameters, false));
    }
    let (target, selected) = before.split_once(" SELECT ")?;
    let is_plain = text.starts_with("INSERT INTO ") && !selected.contains(" FROM ");
    let rest = after.strip_prefix(" WHERE true").unwrap_or(after);
    // A SELECT could give many rows, so SQLite would keep a journal for each statement; VALUES gives one.
    (is_plain && (rest.is_empty() || rest.starts_with(" ON CONFLICT") || rest.starts_with(" RETURNING")))
        .then(|| format!("{target} VALUES ({}){rest}", with_values(selected, columns, parameters, true)))
}

/// Whether what follows this text stands in parentheses that it opens.
fn is_within_parentheses(text: &str) -> bool {
    let mut is_quoted = false;
    let mut depth = 0_i32;
    for c in text.chars() {
        is_quoted ^= c == '\'';
        depth += i32::from(c == '(' && !is_quoted) - i32::from(c == ')' && !is_quoted);
    }
    depth > 0
}

/// `batch.name` becomes the parameter of that column, and with `bare` the name alone does too; what is quoted stays.
fn with_values(text: &str, columns: &[(&str, &str)], parameters: usize, bare: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at(length);
        let name = token.strip_prefix("batch.").or(bare.then_some(token));
        match name.and_then(|name| columns.iter().position(|(column, _)| *column == name)) {
            Some(index) => {
                out.push('?');
                out.push_str(&(parameters + index + 1).to_string());
            }
            None => out.push_str(token),
        }
        rest = tail;
    }
    out
}

/// Every statement the program can run.
#[derive(Debug)]
pub enum Registered {
    /// Of [`crate::sql!`].
    Single(&'static Statement),
    /// Of [`crate::batch_sql!`].
    Batch(&'static BatchStatement),
}
inventory::collect!(Registered);

/// A statement with a fixed text.
#[macro_export]
macro_rules! sql {
    ($text:expr) => {{
        static STATEMENT: $crate::backend::Statement = $crate::backend::Statement::new($text);
        inventory::submit! { $crate::backend::Registered::Single(&STATEMENT) }
        &STATEMENT
    }};
}

/// A set-based statement over rows of one [`Batch`] type: `batch_sql!(Row, parameters before the rows, text)`.
#[macro_export]
macro_rules! batch_sql {
    ($row:ty, $parameters:literal, $text:expr) => {{
        static STATEMENT: $crate::backend::BatchStatement =
            $crate::backend::BatchStatement::new::<$row>($text, $parameters);
        inventory::submit! { $crate::backend::Registered::Batch(&STATEMENT) }
        &STATEMENT
    }};
}

/// `$n` becomes `?n` outside quotes; row locks go.
fn rewrite_for_sqlite(text: &str) -> String {
    let text = text.replace(" FOR UPDATE SKIP LOCKED", "").replace(" FOR UPDATE", "");
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        quoted ^= c == '\'';
        let is_parameter = c == '$' && !quoted && rest.peek().is_some_and(char::is_ascii_digit);
        out.push(if is_parameter { '?' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_rewritten_outside_quotes() {
        let text = "SELECT '$1' FROM t WHERE a = $1 AND b = $12 FOR UPDATE SKIP LOCKED";
        assert_eq!(rewrite_for_sqlite(text), "SELECT '$1' FROM t WHERE a = ?1 AND b = ?12");
    }

    #[test]
    fn what_adds_or_changes_rows_runs_row_by_row() {
        let columns = [("id", "int8"), ("note", "text")];
        for (text, expected) in [
            (
                "INSERT INTO t (id, note, b) SELECT id, note, 'id' FROM {batch} WHERE true ON CONFLICT (id) DO NOTHING",
                Some("INSERT INTO t (id, note, b) VALUES (?2, ?3, 'id') ON CONFLICT (id) DO NOTHING"),
            ),
            ("INSERT INTO t (id) SELECT id FROM {batch}", Some("INSERT INTO t (id) VALUES (?2)")),
            (
                "UPDATE t SET note = batch.note, b = $1 FROM {batch} WHERE t.id = batch.id",
                Some("UPDATE t SET note = ?3, b = $1 WHERE t.id = ?2"),
            ),
            (
                "UPDATE t SET note = '(' || batch.note FROM {batch} WHERE t.id = batch.id",
                Some("UPDATE t SET note = '(' || ?3 WHERE t.id = ?2"),
            ),
            ("UPDATE t SET b = $1 WHERE id IN (SELECT id FROM {batch})", None),
            ("UPDATE t SET b = ')' WHERE id IN (SELECT id FROM {batch})", None),
            ("UPDATE t SET b = (SELECT max(note) FROM {batch}) WHERE id = $1", None),
            ("DELETE FROM t WHERE id IN (SELECT id FROM {batch})", None),
            ("INSERT INTO t (id) SELECT t.id FROM t WHERE id IN (SELECT id FROM {batch})", None),
            ("INSERT INTO t (id) SELECT id FROM {batch} WHERE id NOT IN (SELECT id FROM t)", None),
        ] {
            assert_eq!(by_row(text, &columns, 1).as_deref(), expected, "{text}");
        }
    }
}
