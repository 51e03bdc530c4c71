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
    sqlite: OnceLock<String>,
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
    /// The text as SQLite gets it: one JSON document.
    pub fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(|| {
            let columns: Vec<_> =
                (self.columns)().iter().enumerate().map(|(i, (name, _))| format!("value->>{i} AS {name}")).collect();
            let rows = format!("(SELECT {} FROM json_each(?{})) AS batch", columns.join(", "), self.parameters + 1);
            rewrite_for_sqlite(&self.text.replace("{batch}", &rows))
        })
    }
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
}
