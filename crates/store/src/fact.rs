//! Facts and those that are held: reading. Writing is in `outcome`, and only ever adds.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// One revision of a fact; `body` is JSON.
    pub struct StoredFactRow {
        id: i64, program_id: i64, person_id: i64, customer_id: i64, kind: String, fact_key: String, revision: Option<i64>, at: i64,
        body: String, source: String, event_id: Option<i64>, received_at: i64,
    }
}
record! {
    /// A fact that is not priced, and why.
    pub struct HeldRow { fact_id: i64, reason: String, program_id: i64, person_id: i64, detail: String, since: i64 }
}

/// A fact of this account.
pub async fn fact_by_id(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<StoredFactRow>> {
    let statement = sql!(
        "SELECT id, program_id, person_id, customer_id, type, fact_key, revision, at, body, source, event_id, received_at \
         FROM fact WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// Every revision of the facts of a person with this type and key, oldest first.
pub async fn fact_revisions(
    tx: &Tx<'_>,
    account_id: i64,
    person_id: i64,
    kind: &str,
    fact_key: &str,
) -> Result<Vec<StoredFactRow>> {
    let statement = sql!(
        "SELECT id, program_id, person_id, customer_id, type, fact_key, revision, at, body, source, event_id, received_at \
         FROM fact WHERE person_id = $2 AND account_id = $1 AND type = $3 AND fact_key = $4 ORDER BY id"
    );
    tx.all(statement, &[&account_id, &person_id, &kind, &fact_key]).await
}

/// Why a fact is held; none where it is not.
pub async fn held_of_fact(tx: &Tx<'_>, account_id: i64, fact_id: i64) -> Result<Vec<HeldRow>> {
    let statement = sql!(
        "SELECT fact_id, reason, program_id, person_id, detail, since FROM held WHERE account_id = $1 AND fact_id = $2 ORDER BY reason"
    );
    tx.all(statement, &[&account_id, &fact_id]).await
}
