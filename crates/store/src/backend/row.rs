//! Values in and rows out: anything that both drivers know.

use super::error::Result;

/// A parameter that both engines can bind.
pub trait Parameter: Sync {
    /// As SQLite binds it.
    fn sqlite(&self) -> &dyn rusqlite::ToSql;
    /// As PostgreSQL binds it.
    fn postgres(&self) -> &(dyn postgres_types::ToSql + Sync);
}
impl<T: rusqlite::ToSql + postgres_types::ToSql + Sync> Parameter for T {
    fn sqlite(&self) -> &dyn rusqlite::ToSql {
        self
    }
    fn postgres(&self) -> &(dyn postgres_types::ToSql + Sync) {
        self
    }
}

/// A value that both engines can give.
pub trait ColumnValue: rusqlite::types::FromSql + for<'a> postgres_types::FromSql<'a> {}
impl<T: rusqlite::types::FromSql + for<'a> postgres_types::FromSql<'a>> ColumnValue for T {}

/// One row of an answer.
#[derive(Debug)]
pub enum Row<'a> {
    /// From SQLite.
    Sqlite(&'a rusqlite::Row<'a>),
    /// From PostgreSQL.
    Postgres(&'a tokio_postgres::Row),
}

impl Row<'_> {
    /// The value in column `index`, from 0.
    pub fn get<T: ColumnValue>(&self, index: usize) -> Result<T> {
        Ok(match self {
            Self::Sqlite(row) => row.get(index)?,
            Self::Postgres(row) => row.try_get(index)?,
        })
    }
}

/// Something that a row can be read as.
pub trait FromRow: Sized {
    /// Reads the columns in order.
    fn from_row(row: &Row<'_>) -> Result<Self>;
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+);)+) => {$(
        impl<$($t: ColumnValue),+> FromRow for ($($t,)+) {
            fn from_row(row: &Row<'_>) -> Result<Self> { Ok(($(row.get::<$t>($i)?,)+)) }
        }
    )+};
}
tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
}

/// Declares a struct that is read from a row, its fields in the order of the selected columns.
#[macro_export]
macro_rules! record {
    ($(#[$m:meta])* $v:vis struct $n:ident { $($(#[$fm:meta])* $f:ident : $t:ty),+ $(,)? }) => {
        $(#[$m])*
        #[derive(Debug, Clone)]
        #[allow(missing_docs, reason = "each field is the column of its own name")]
        $v struct $n { $($(#[$fm])* pub $f: $t),+ }
        impl $crate::backend::FromRow for $n {
            fn from_row(row: &$crate::backend::Row<'_>) -> $crate::backend::Result<Self> {
                let mut columns = 0..;
                Ok($n { $($f: row.get(columns.next().expect("counting never ends"))?),+ })
            }
        }
    };
}
