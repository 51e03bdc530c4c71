//! Everything that was recorded, read back to recompute it: persons with their partners, and the books row by row.
//!
//! Never locks and never writes.

use crate::backend::{Result, Tx};
use crate::settlement::{Number, PersonRow};
use crate::{batch_sql, record, sql};

record! {
    /// A person and a partner that it was ever bound to; 0 where it never was.
    pub struct BoundRow { person_id: i64, partner_id: i64 }
}
record! {
    /// A cell whose commissions do not add up to what it says.
    pub struct UnequalCell { person_id: i64, cell: String, posted: i64, commissions: i64 }
}
record! {
    /// An entry as it is chained.
    pub struct ChainedEntry {
        ledger_account_id: i64, number: i64, transaction_id: i64, amount: i64, hash: String, previous_hash: String, at: i64,
    }
}
record! {
    /// A ledger account as it says it is.
    pub struct LedgerHead { id: i64, balance: i64, entries: i64, head_hash: String }
}

/// Every person of a program with every partner that it was bound to.
pub async fn persons_bound(tx: &Tx<'_>, program_id: i64) -> Result<Vec<BoundRow>> {
    let statement = sql!(
        "SELECT DISTINCT p.id, COALESCE(a.partner_id, 0) FROM person p LEFT JOIN attribution a ON a.person_id = p.id \
         WHERE p.program_id = $1 AND p.merged_into IS NULL ORDER BY p.id"
    );
    tx.all(statement, &[&program_id]).await
}

/// Persons by their numbers.
pub async fn persons_read(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<PersonRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, email_key, event_types, qualified_at, merged_into FROM person \
         WHERE merged_into IS NULL AND id IN (SELECT id FROM {batch}) ORDER BY id"
    );
    tx.batch_all(statement, &[], ids).await
}

/// The first cell that its commissions do not add up to.
pub async fn cell_unequal(tx: &Tx<'_>) -> Result<Option<UnequalCell>> {
    let statement = sql!(
        "SELECT c.person_id, c.cell, c.posted, CAST(COALESCE(s.total, 0) AS BIGINT) FROM cell c LEFT JOIN \
         (SELECT person_id, cell, SUM(amount) AS total FROM commission GROUP BY person_id, cell) s \
         ON s.person_id = c.person_id AND s.cell = c.cell WHERE c.posted <> COALESCE(s.total, 0) \
         ORDER BY c.person_id, c.cell LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

/// The first transaction whose entries do not add up to nothing.
pub async fn transaction_unbalanced(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT transaction_id FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0 ORDER BY transaction_id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

/// The entries after this one, account by account.
pub async fn entries_after(tx: &Tx<'_>, account: i64, number: i64, limit: i64) -> Result<Vec<ChainedEntry>> {
    let statement = sql!(
        "SELECT ledger_account_id, number, transaction_id, amount, hash, previous_hash, at FROM ledger_entry \
         WHERE ledger_account_id > $1 OR (ledger_account_id = $1 AND number > $2) \
         ORDER BY ledger_account_id, number LIMIT $3"
    );
    tx.all(statement, &[&account, &number, &limit]).await
}

/// Every ledger account.
pub async fn ledger_heads(tx: &Tx<'_>) -> Result<Vec<LedgerHead>> {
    tx.all(sql!("SELECT id, balance, entries, head_hash FROM ledger_account ORDER BY id"), &[]).await
}

/// How many commissions there are, and how many persons wait for a dated change to be priced.
pub async fn figures(tx: &Tx<'_>) -> Result<(i64, i64)> {
    tx.one(sql!("SELECT (SELECT COUNT(*) FROM commission), (SELECT COUNT(*) FROM repricing)"), &[]).await
}

record! {
    /// A payout that does not agree with its commissions: its number, what it says, and what they do.
    pub struct UnequalPayout { id: i64, status: String, amount: i64, commissions: i64 }
}
record! {
    /// What was paid to somebody in a unit, as the ledger has it and as the completed payouts add up to.
    pub struct UnequalPaid { owner: String, unit: String, paid: i64, completed: i64 }
}

/// The first payout that is not the sum of what it took, or whose commissions do not stand where it does.
pub async fn payout_unequal(tx: &Tx<'_>) -> Result<Option<UnequalPayout>> {
    let statement = sql!(
        "SELECT p.id, p.status, p.amount, CAST(COALESCE(SUM(c.amount), 0) AS BIGINT) FROM payout p \
         LEFT JOIN payout_item i ON i.payout_id = p.id LEFT JOIN commission c ON c.id = i.commission_id \
         GROUP BY p.id, p.status, p.amount, p.commissions \
         HAVING p.amount <> COALESCE(SUM(c.amount), 0) OR p.commissions <> COUNT(c.id) \
         OR COUNT(CASE WHEN c.unit <> p.unit OR COALESCE(c.partner_id, -c.customer_id) <> COALESCE(p.partner_id, -p.customer_id) THEN 1 END) > 0 \
         OR COUNT(CASE WHEN i.live <> (p.status IN ('pending', 'processing', 'completed')) THEN 1 END) > 0 \
         OR COUNT(CASE WHEN NOT i.live THEN NULL \
           WHEN p.unit IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per') AND p.status = 'completed' \
             THEN CASE WHEN c.status <> 'fulfilled' THEN 1 END \
           WHEN p.unit IN ('points', 'credits', 'free_months', 'mon_discount', 'discount_per') \
             THEN CASE WHEN c.status <> 'approved' THEN 1 END \
           WHEN p.status = 'completed' THEN CASE WHEN c.status <> 'paid' THEN 1 END \
           ELSE CASE WHEN c.status <> 'in_payout' THEN 1 END END) > 0 ORDER BY p.id LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

/// The first commission that says it is in a payout, paid or fulfilled, and that no payout has.
pub async fn commission_astray(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT id FROM commission WHERE status IN ('in_payout', 'paid', 'fulfilled') \
         AND NOT EXISTS (SELECT 1 FROM payout_item i WHERE i.commission_id = commission.id AND i.live) ORDER BY id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

/// The first account `paid` that the completed payouts of its owner do not add up to.
pub async fn paid_unequal(tx: &Tx<'_>) -> Result<Option<UnequalPaid>> {
    let statement = sql!(
        "SELECT a.owner, a.unit, a.balance, CAST(COALESCE(s.total, 0) AS BIGINT) FROM ledger_account a LEFT JOIN \
         (SELECT program_id, unit, CASE WHEN partner_id IS NULL THEN 'customer:' || CAST(customer_id AS TEXT) \
         ELSE 'partner:' || CAST(partner_id AS TEXT) END AS owner, SUM(amount) AS total FROM payout WHERE status = 'completed' \
         GROUP BY program_id, unit, partner_id, customer_id) s ON s.program_id = a.program_id AND s.unit = a.unit AND s.owner = a.owner \
         WHERE a.name = 'paid' AND a.balance <> COALESCE(s.total, 0) ORDER BY a.id LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}
