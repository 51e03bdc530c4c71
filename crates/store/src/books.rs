//! The books held against themselves: each posting with its entries, each payout with what it took, and nothing without
//! what it is for. Each question gives the first thing that does not hold.
//!
//! Leaves hashes and what facts are worth to the operations. Never locks and never writes.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// A posting whose entries are not what its status says, by the account in which its amount stands.
    pub struct UnbookedCommission { id: i64, status: String, amount: i64, accrued: i64, held: i64, payable: i64 }
}
record! {
    /// A payout that differs from what it took, or from what was booked for it.
    pub struct UnequalPayout { id: i64, amount: i64, commissions: i64, taken: i64, sum: i64, booked: i64 }
}

/// The first posting whose entries are not what it says: its amount stands in `accrued` while it waits, in `held`, then in
/// `payable` once it is approved, and nowhere where it was denied.
pub async fn commission_unbooked(tx: &Tx<'_>) -> Result<Option<UnbookedCommission>> {
    let statement = sql!(
        "SELECT c.id, c.status, c.amount, CAST(COALESCE(s.accrued, 0) AS BIGINT), CAST(COALESCE(s.held, 0) AS BIGINT), \
         CAST(COALESCE(s.payable, 0) AS BIGINT) FROM commission c LEFT JOIN ( \
         SELECT e.commission_id, SUM(CASE WHEN a.name = 'accrued' THEN e.amount ELSE 0 END) AS accrued, \
         SUM(CASE WHEN a.name = 'held' THEN e.amount ELSE 0 END) AS held, \
         SUM(CASE WHEN a.name = 'payable' THEN e.amount ELSE 0 END) AS payable \
         FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
         WHERE e.commission_id IS NOT NULL AND a.owner <> 'program' GROUP BY e.commission_id) s ON s.commission_id = c.id \
         WHERE COALESCE(s.accrued, 0) <> CASE WHEN c.status = 'pending' THEN c.amount ELSE 0 END \
         OR COALESCE(s.held, 0) <> CASE WHEN c.status = 'approved' AND c.due_at IS NULL THEN c.amount ELSE 0 END \
         OR COALESCE(s.payable, 0) <> CASE WHEN c.status IN ('in_payout', 'paid') OR (c.status = 'approved' AND c.due_at IS NOT NULL) \
         THEN c.amount ELSE 0 END ORDER BY c.id LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

/// The first posting whose cell is not there; one that was made by hand has no fact, and needs none.
pub async fn commission_without_cell(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT c.id FROM commission c WHERE c.fact_id <> 0 AND NOT EXISTS \
         (SELECT 1 FROM cell k WHERE k.person_id = c.person_id AND k.cell = c.cell) ORDER BY c.id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

/// The first entry that is for nothing that is there, or is not its payee's or in its unit. What is for no posting and no
/// payout nets a debt, between two accounts of one payee.
pub async fn entry_unfounded(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT e.id FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
         LEFT JOIN commission c ON c.id = e.commission_id LEFT JOIN payout p ON p.id = e.payout_id \
         WHERE (e.commission_id IS NOT NULL AND (c.id IS NULL OR a.unit <> c.unit OR a.program_id <> c.program_id \
         OR a.owner NOT IN ('program', 'partner:' || COALESCE(c.partner_id, 0), 'customer:' || COALESCE(c.customer_id, 0)))) \
         OR (e.payout_id IS NOT NULL AND (p.id IS NULL OR a.unit <> p.unit OR a.program_id <> p.program_id \
         OR a.owner NOT IN ('partner:' || COALESCE(p.partner_id, 0), 'customer:' || COALESCE(p.customer_id, 0)))) \
         OR (e.commission_id IS NULL AND e.payout_id IS NULL AND a.name NOT IN ('payable', 'receivable')) \
         ORDER BY e.id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

/// The first payout that is not the sum of the postings that it took, or that was not booked as it ended.
pub async fn payout_unequal(tx: &Tx<'_>) -> Result<Option<UnequalPayout>> {
    let statement = sql!(
        "SELECT p.id, p.amount, p.commissions, CAST(COALESCE(i.taken, 0) AS BIGINT), CAST(COALESCE(i.total, 0) AS BIGINT), \
         CAST(COALESCE(b.booked, 0) AS BIGINT) FROM payout p LEFT JOIN ( \
         SELECT t.payout_id, COUNT(*) AS taken, SUM(c.amount) AS total FROM payout_item t JOIN commission c ON c.id = t.commission_id \
         JOIN payout q ON q.id = t.payout_id AND q.unit = c.unit AND COALESCE(q.partner_id, -q.customer_id) = COALESCE(c.partner_id, -c.customer_id) AND q.program_id = c.program_id \
         GROUP BY t.payout_id) i ON i.payout_id = p.id LEFT JOIN ( \
         SELECT e.payout_id, SUM(e.amount) AS booked FROM ledger_entry e JOIN ledger_account a ON a.id = e.ledger_account_id \
         WHERE e.payout_id IS NOT NULL AND a.name = 'paid' GROUP BY e.payout_id) b ON b.payout_id = p.id \
         WHERE p.amount <> COALESCE(i.total, 0) OR p.commissions <> COALESCE(i.taken, 0) \
         OR COALESCE(b.booked, 0) <> CASE WHEN p.status = 'completed' THEN p.amount ELSE 0 END ORDER BY p.id LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

/// The first posting whose status is not that of the payout which has it: in a payout, paid, fulfilled, or in none.
pub async fn commission_out_of_payout(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT c.id FROM commission c LEFT JOIN payout_item i ON i.commission_id = c.id AND i.live \
         LEFT JOIN payout p ON p.id = i.payout_id \
         LEFT JOIN (SELECT 'points' AS unit UNION SELECT 'credits' UNION SELECT 'free_months' UNION SELECT 'mon_discount' \
         UNION SELECT 'discount_per') r ON r.unit = c.unit \
         WHERE (c.status = 'in_payout') <> (p.id IS NOT NULL AND r.unit IS NULL AND p.status IN ('pending', 'processing')) \
         OR (c.status = 'paid') <> (p.id IS NOT NULL AND r.unit IS NULL AND p.status = 'completed') \
         OR (c.status = 'fulfilled') <> (p.id IS NOT NULL AND r.unit IS NOT NULL AND p.status = 'completed') \
         OR (p.id IS NOT NULL AND p.status NOT IN ('pending', 'processing', 'completed')) ORDER BY c.id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

record! {
    /// What was paid to somebody in a unit, as the ledger has it and as the completed payouts add up to.
    pub struct UnequalPaid { owner: String, unit: String, paid: i64, completed: i64 }
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
