//! Facts that are held: the list of those that nobody dismissed, and dismissing. They are written by a settlement.

use crate::backend::{Result, Tx};
use crate::fact::HeldRow;
use crate::sql;

/// Whether a fact `f` is a refund that does not count: its sale is not known, has not so much left, or is in another currency.
macro_rules! is_waiting_refund {
    () => {
        "(f.type = 'refund' AND EXISTS (SELECT 1 FROM held h WHERE h.fact_id = f.id \
         AND h.reason IN ('over_refund', 'unknown_sale', 'not_evaluable')))"
    };
}
pub(crate) use is_waiting_refund;

/// Where a list of held facts goes on: after this one.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct HeldPlace {
    pub fact_id: i64,
    pub reason: String,
}

/// At most `limit` held facts, newest first.
pub async fn held_list(
    tx: &Tx<'_>,
    account_id: i64,
    reason: Option<&str>,
    after: Option<&HeldPlace>,
    limit: i64,
) -> Result<Vec<HeldRow>> {
    let statement = sql!(
        "SELECT fact_id, reason, program_id, person_id, detail, since FROM held WHERE account_id = $1 \
         AND (CAST($2 AS TEXT) IS NULL OR reason = CAST($2 AS TEXT)) \
         AND NOT EXISTS (SELECT 1 FROM held_dismissal d WHERE d.fact_id = held.fact_id AND d.reason = held.reason) \
         AND (CAST($3 AS BIGINT) IS NULL OR fact_id < CAST($3 AS BIGINT) \
         OR (fact_id = CAST($3 AS BIGINT) AND reason > CAST($4 AS TEXT))) ORDER BY fact_id DESC, reason LIMIT CAST($5 AS BIGINT)"
    );
    let (fact_id, last) = (after.map(|place| place.fact_id), after.map(|place| place.reason.as_str()));
    tx.all(statement, &[&account_id, &reason, &fact_id, &last, &limit]).await
}

/// A held fact of this account, dismissed or not.
pub async fn held_read(tx: &Tx<'_>, account_id: i64, place: &HeldPlace) -> Result<Option<HeldRow>> {
    let statement = sql!(
        "SELECT fact_id, reason, program_id, person_id, detail, since FROM held \
         WHERE account_id = $1 AND fact_id = $2 AND reason = $3"
    );
    tx.maybe(statement, &[&account_id, &place.fact_id, &place.reason]).await
}

/// Takes a held fact off the list; `false` where somebody did before.
pub async fn held_dismiss(
    tx: &Tx<'_>,
    account_id: i64,
    place: &HeldPlace,
    note: &str,
    actor: &str,
    at: i64,
) -> Result<bool> {
    let statement = sql!(
        "INSERT INTO held_dismissal (fact_id, reason, account_id, note, actor, at) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (fact_id, reason) DO NOTHING"
    );
    Ok(tx.execute(statement, &[&place.fact_id, &place.reason, &account_id, &note, &actor, &at]).await? == 1)
}
