//! What has to be priced anew because something changed under it: kept until it is done, so that a stop forgets nothing.

use crate::backend::{Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

batch! {
    /// The facts of an account since an instant that are in one of two currencies; from `due_at` on.
    pub struct NewRepricing {
        id: i64 = "int8", account_id: i64 = "int8", due_at: i64 = "int8", since_at: i64 = "int8", currency_one: String = "text", currency_two: String = "text",
    }
}
record! {
    /// The same, and how far it got.
    pub struct RepricingRow { id: i64, account_id: i64, since_at: i64, currency_one: String, currency_two: String, done_person_id: i64 }
}

/// Asks for it.
pub async fn repricing_add(tx: &Tx<'_>, rows: &[NewRepricing]) -> Result<()> {
    let statement = batch_sql!(
        NewRepricing,
        0,
        "INSERT INTO repricing (id, account_id, due_at, since_at, currency_one, currency_two, done_person_id) \
         SELECT id, account_id, due_at, since_at, currency_one, currency_two, 0 FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// The oldest one that is due and not done, of any account.
pub async fn repricing_next(tx: &Tx<'_>, now: i64) -> Result<Option<RepricingRow>> {
    let statement = sql!(
        "SELECT id, account_id, since_at, currency_one, currency_two, done_person_id FROM repricing WHERE due_at <= $1 \
         ORDER BY id LIMIT 1"
    );
    tx.maybe(statement, &[&now]).await
}

/// The next persons of it.
pub async fn repricing_persons(tx: &Tx<'_>, row: &RepricingRow, limit: i64) -> Result<Vec<Number>> {
    let statement = sql!(
        "SELECT DISTINCT person_id FROM fact WHERE account_id = $1 AND person_id > $2 AND at >= $3 \
         AND (body LIKE $4 OR body LIKE $5) ORDER BY person_id LIMIT CAST($6 AS BIGINT)"
    );
    // A currency stands in a fact's JSON as its code in quotes.
    let (one, two) = (format!("%\"{}\"%", row.currency_one), format!("%\"{}\"%", row.currency_two));
    let rows: Vec<(i64,)> =
        tx.all(statement, &[&row.account_id, &row.done_person_id, &row.since_at, &one, &two, &limit]).await?;
    Ok(rows.into_iter().map(|(id,)| Number { id }).collect())
}

/// Remembers how far it got.
pub async fn repricing_advance(tx: &Tx<'_>, id: i64, done_person_id: i64) -> Result<()> {
    let statement = sql!("UPDATE repricing SET done_person_id = $2 WHERE id = $1 AND done_person_id < $2");
    tx.execute(statement, &[&id, &done_person_id]).await?;
    Ok(())
}

/// It is done.
pub async fn repricing_done(tx: &Tx<'_>, id: i64) -> Result<()> {
    tx.execute(sql!("DELETE FROM repricing WHERE id = $1"), &[&id]).await?;
    Ok(())
}
