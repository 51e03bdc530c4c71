//! Rows for set-based statements: one struct, turned into arrays for PostgreSQL; for SQLite bound row by row where the
//! statement allows it, else one JSON document (`statement.rs`).

use super::row::Parameter;
use postgres_types::ToSql;

/// A boxed column of values.
pub type Column = Box<dyn ToSql + Sync + Send>;

/// A row of a set-based statement; made by [`crate::batch!`].
pub trait Batch: Sized {
    /// Name and PostgreSQL type of each column.
    fn columns_of_type() -> &'static [(&'static str, &'static str)];
    /// One array per column.
    fn to_columns(rows: &[Self]) -> Vec<Column>;
    /// A JSON array of arrays, in the order of the columns.
    fn to_json(rows: &[Self]) -> String;
    /// The values of one row, in the order of the columns.
    fn values(&self) -> Vec<&dyn Parameter>;
}

/// Declares a row type: `batch! { struct SaleRow { id: i64 = "int8", note: Option<String> = "text" } }`.
#[macro_export]
macro_rules! batch {
    ($(#[$m:meta])* $v:vis struct $n:ident { $($(#[$fm:meta])* $f:ident : $t:ty = $pg:literal),+ $(,)? }) => {
        $(#[$m])*
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "each field is the column of its own name")]
        $v struct $n { $($(#[$fm])* pub $f: $t),+ }
        impl $crate::backend::Batch for $n {
            fn columns_of_type() -> &'static [(&'static str, &'static str)] {
                &[$((stringify!($f), $pg)),+]
            }
            fn to_columns(rows: &[Self]) -> Vec<$crate::backend::Column> {
                vec![$(Box::new(rows.iter().map(|r| r.$f.clone()).collect::<Vec<$t>>())),+]
            }
            fn to_json(rows: &[Self]) -> String {
                // Field by field: serde writes no tuple of more than 16.
                let mut text = vec![b'['];
                for row in rows {
                    text.extend_from_slice(if text.len() == 1 { b"[" } else { b",[" });
                    let start = text.len();
                    $(
                        if text.len() > start {
                            text.push(b',');
                        }
                        serde_json::to_writer(&mut text, &row.$f).expect("numbers, booleans and text always serialise");
                    )+
                    text.push(b']');
                }
                text.push(b']');
                String::from_utf8(text).expect("JSON is UTF-8")
            }
            fn values(&self) -> Vec<&dyn $crate::backend::Parameter> {
                vec![$(&self.$f),+]
            }
        }
    };
}
