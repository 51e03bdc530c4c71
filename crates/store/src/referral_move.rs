//! Referrals that went from one program to another: which customer stood for a human when, and what the move writes.
//!
//! Leaves what is brought along, and when, to the operation. Invariants: a line of customers has one that stands for the human at every
//! moment, and that is the one of its last row at or before it; every other one is marked as moved.

use crate::backend::{Result, Tx};
use crate::circle::{PersonPaysTo, person_rebind, persons_pay};
use crate::held::is_waiting_refund;
use crate::settlement::Number;
use crate::{batch_sql, record, sql};

record! {
    /// A customer of a line, from a moment on.
    pub struct LineRow {
        root_id: i64, from_at: i64, customer_id: i64, program_id: i64, person_id: i64, external_id: Option<String>,
    }
}
record! {
    /// The binding that a customer has now, of whom nobody says that it left.
    pub struct LastBinding { person_id: i64, program_id: i64, from_at: i64, partner_id: i64, splits: Option<String>, registered_at: i64 }
}
record! {
    /// A binding of a customer, as far as it says since when it is its partner's.
    pub struct HeldSince { from_at: i64, partner_id: i64, referred_at: Option<i64> }
}

/// The line that a customer is in, oldest row first; nothing where it was never moved.
pub async fn line_of(tx: &Tx<'_>, account_id: i64, customer_id: i64) -> Result<Vec<LineRow>> {
    let statement = sql!(
        "SELECT m.root_id, m.from_at, m.customer_id, c.program_id, c.person_id, c.external_id FROM referral_move m \
         JOIN customer c ON c.id = m.customer_id WHERE m.account_id = $1 AND m.root_id = \
         (SELECT k.root_id FROM referral_move k WHERE k.customer_id = $2 AND k.account_id = $1 LIMIT 1) ORDER BY m.from_at"
    );
    tx.all(statement, &[&account_id, &customer_id]).await
}

/// Which customers of a line have a fact of this kind under a key of the caller's own.
pub async fn line_has(
    tx: &Tx<'_>,
    account_id: i64,
    root_id: i64,
    (source, kind, fact_key): (&str, &str, &str),
) -> Result<Vec<(i64,)>> {
    let statement = sql!(
        "SELECT DISTINCT f.customer_id FROM referral_move m JOIN customer c ON c.id = m.customer_id \
         JOIN fact f ON f.program_id = c.program_id AND f.fact_key = $5 AND f.type = $4 AND f.source = $3 AND f.source <> 'events' \
         WHERE m.account_id = $1 AND m.root_id = $2 AND f.customer_id = c.id"
    );
    tx.all(statement, &[&account_id, &root_id, &source, &kind, &fact_key]).await
}

/// The binding that a customer has at an instant, where it did not leave.
pub async fn last_binding(tx: &Tx<'_>, account_id: i64, customer_id: i64, at: i64) -> Result<Option<LastBinding>> {
    let statement = sql!(
        "SELECT c.person_id, c.program_id, a.from_at, a.partner_id, a.splits, c.registered_at FROM customer c JOIN attribution a \
         ON a.person_id = c.person_id AND a.customer_id = c.id WHERE c.account_id = $1 AND c.id = $2 AND c.moved_at IS NULL \
         AND a.from_at <= $3 ORDER BY a.from_at DESC LIMIT 1"
    );
    tx.maybe(statement, &[&account_id, &customer_id, &at]).await
}

/// The bindings of a customer, newest first.
pub async fn bindings_held(tx: &Tx<'_>, account_id: i64, customer_id: i64) -> Result<Vec<HeldSince>> {
    let statement = sql!(
        "SELECT from_at, partner_id, referred_at FROM attribution WHERE person_id = (SELECT person_id FROM customer WHERE account_id = $1 AND id = $2) \
         AND customer_id = $2 ORDER BY from_at DESC"
    );
    tx.all(statement, &[&account_id, &customer_id]).await
}

/// When a customer came here from another program, last; nothing where it did not.
pub async fn arrived_at(tx: &Tx<'_>, account_id: i64, customer_id: i64) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT MAX(from_at) FROM attribution WHERE person_id = (SELECT person_id FROM customer WHERE account_id = $1 AND id = $2) \
         AND customer_id = $2 AND referred_at IS NOT NULL"
    );
    let found: Option<(Option<i64>,)> = tx.maybe(statement, &[&account_id, &customer_id]).await?;
    Ok(found.and_then(|(at,)| at))
}

/// Whether a customer has left for another program.
pub async fn has_left(tx: &Tx<'_>, account_id: i64, customer_id: i64) -> Result<bool> {
    let statement = sql!("SELECT id FROM customer WHERE account_id = $1 AND id = $2 AND moved_at IS NOT NULL");
    Ok(tx.maybe::<(i64,)>(statement, &[&account_id, &customer_id]).await?.is_some())
}

/// Facts of a person that do not count: refunds that wait.
pub async fn waiting_refunds(tx: &Tx<'_>, account_id: i64, person_id: i64) -> Result<Vec<(i64,)>> {
    let statement = sql!(concat!(
        "SELECT f.id FROM fact f WHERE f.person_id = $2 AND f.account_id = $1 AND ",
        is_waiting_refund!()
    ));
    tx.all(statement, &[&account_id, &person_id]).await
}

/// Facts that a person brought along are replaced by later revisions.
pub async fn brought_supersede(tx: &Tx<'_>, facts: &[Number], superseded_at: i64) -> Result<()> {
    let statement = batch_sql!(
        Number,
        1,
        "UPDATE fact SET trading_at = $1 FROM {batch} WHERE fact.id = batch.id AND fact.trading_at IS NOT NULL"
    );
    tx.batch(statement, &[&superseded_at], facts).await?;
    Ok(())
}

/// What a move says of one customer of a line.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained")]
pub struct Arrival<'m> {
    pub account_id: i64,
    pub root_id: i64,
    /// Who left.
    pub previous_id: i64,
    pub customer_id: i64,
    pub partner_id: i64,
    pub from_at: i64,
    pub referred_at: i64,
    pub splits: Option<&'m str>,
    pub reason: &'m str,
    /// The events that its person had.
    pub event_types: &'m str,
}

/// One customer leaves, and another one stands for it, bound to a partner.
pub async fn move_write(tx: &Tx<'_>, arrival: &Arrival<'_>) -> Result<()> {
    let Arrival { account_id, root_id, previous_id, customer_id, partner_id, from_at, .. } = arrival;
    let begun = sql!(
        "INSERT INTO referral_move (root_id, from_at, account_id, customer_id) VALUES ($2, $3, $1, $2) ON CONFLICT DO NOTHING"
    );
    tx.execute(begun, &[account_id, root_id, &i64::MIN]).await?;
    let next = sql!("INSERT INTO referral_move (root_id, from_at, account_id, customer_id) VALUES ($2, $3, $1, $4)");
    tx.execute(next, &[account_id, root_id, from_at, customer_id]).await?;
    // One that was said for later is nobody's from its beginning.
    let ended = sql!(
        "UPDATE attribution SET until_at = CASE WHEN from_at > $3 THEN from_at ELSE $3 END WHERE person_id = (SELECT person_id FROM customer WHERE account_id = $1 AND id = $2) \
         AND customer_id = $2 AND from_at >= (SELECT MAX(l.from_at) FROM attribution l WHERE l.person_id = attribution.person_id \
         AND l.customer_id = $2 AND l.from_at <= $3)"
    );
    tx.execute(ended, &[account_id, previous_id, from_at]).await?;
    let left = sql!("UPDATE customer SET moved_at = $3 WHERE account_id = $1 AND id = $2");
    tx.execute(left, &[account_id, previous_id, from_at]).await?;
    let came = sql!(
        "UPDATE customer SET moved_at = NULL, name = p.name, country = p.country, account_type = p.account_type, campaign = p.campaign, \
         attributes = p.attributes, registered_at = p.registered_at, is_registered = p.is_registered \
         FROM (SELECT * FROM customer WHERE id = $3) p WHERE customer.account_id = $1 AND customer.id = $2 AND p.account_id = $1"
    );
    tx.execute(came, &[account_id, customer_id, previous_id]).await?;
    let bound = sql!(
        "INSERT INTO attribution (person_id, customer_id, from_at, account_id, partner_id, evidence, reason, recorded_at, splits, referred_at) \
         SELECT c.person_id, c.id, CAST($3 AS BIGINT), c.account_id, CAST($4 AS BIGINT), 'operator', CAST($5 AS TEXT), CAST($3 AS BIGINT), \
         CAST($6 AS TEXT), CAST($7 AS BIGINT) FROM customer c WHERE c.account_id = $1 AND c.id = $2"
    );
    let Arrival { reason, splits, referred_at, event_types, .. } = arrival;
    tx.execute(bound, &[account_id, customer_id, from_at, partner_id, reason, splits, referred_at]).await?;
    person_rebind(tx, *account_id, *customer_id).await?;
    let had = sql!(
        "UPDATE person SET event_types = $3 WHERE id = (SELECT person_id FROM customer WHERE account_id = $1 AND id = $2)"
    );
    tx.execute(had, &[account_id, customer_id, event_types]).await?;
    Ok(())
}

/// The cells of these partners may hold something of a customer from now on.
pub async fn partners_pay(tx: &Tx<'_>, account_id: i64, customer_id: i64, partners: &[i64]) -> Result<()> {
    let statement = sql!("SELECT program_id, person_id FROM customer WHERE account_id = $1 AND id = $2");
    let Some((program_id, person_id)) = tx.maybe::<(i64, i64)>(statement, &[&account_id, &customer_id]).await? else {
        return Ok(());
    };
    let pays = |partner_id: &i64| PersonPaysTo { program_id, partner_id: *partner_id, person_id };
    persons_pay(tx, &partners.iter().map(pays).collect::<Vec<_>>()).await
}
