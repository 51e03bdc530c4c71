//! Who is priced together: the persons that a partner's cells hold something of, found from either side, and the cells
//! that belong to no person.
//!
//! Leaves which partners stand together to the operations. Invariant: a person that was ever bound to a partner, whose
//! earnings it ever shared, or that had a fact which names it, stays among its persons, so that what the partner's cells hold
//! of it can be taken back.

use crate::backend::{Result, Tx};
use crate::ingest::Merge;
use crate::outcome::NewAttribution;
use crate::person_state::{CellRow, cells_where};
use crate::settlement::Number;
use crate::{batch, batch_sql, sql};

batch! {
    /// A partner in a program.
    pub struct PartnerOf { program_id: i64 = "int8", partner_id: i64 = "int8" }
}
batch! {
    /// Whose cells are asked for, of those kept under a program's number, negated.
    pub struct PayeeOf { account_id: i64 = "int8", owner_id: i64 = "int8", payee_id: i64 = "int8" }
}
batch! {
    /// The same, of periods that begin in `[from_day, to_day)`, or of none (`person_state::NO_DAY`).
    pub struct PayeeWithin { account_id: i64 = "int8", owner_id: i64 = "int8", payee_id: i64 = "int8", from_day: String = "text", to_day: String = "text" }
}
batch! {
    /// A partner beside those that a person was bound to: a fact of it names the partner, or the partner shares what it earns.
    pub struct PersonPaysTo { program_id: i64 = "int8", partner_id: i64 = "int8", person_id: i64 = "int8" }
}

/// The programs of these events; an event never changes its program.
pub async fn programs_of_events(tx: &Tx<'_>, events: &[Number]) -> Result<Vec<i64>> {
    let statement = batch_sql!(Number, 0, "SELECT DISTINCT program_id FROM event WHERE id IN (SELECT id FROM {batch})");
    let rows: Vec<(i64,)> = tx.batch_all(statement, &[], events).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The partners that these persons were ever bound to, or may be by an event that waits, as (program, partner).
pub async fn partners_of_persons(tx: &Tx<'_>, persons: &[Number]) -> Result<Vec<(i64, i64)>> {
    let bound = batch_sql!(
        Number,
        0,
        "SELECT DISTINCT b.program_id, b.partner_id FROM {batch} CROSS JOIN person p CROSS JOIN bound b \
         WHERE p.id = batch.id AND b.person_id = COALESCE(p.merged_into, p.id)"
    );
    let mut partners: Vec<(i64, i64)> = tx.batch_all(bound, &[], persons).await?;
    let waiting = batch_sql!(
        Number,
        0,
        "SELECT DISTINCT program_id, partner_id FROM event \
         WHERE state = 'unverified' AND partner_id IS NOT NULL AND person_id IN (SELECT id FROM {batch})"
    );
    partners.extend(tx.batch_all::<_, (i64, i64)>(waiting, &[], persons).await?);
    Ok(partners)
}

/// Every person that was ever bound to one of these partners.
pub async fn persons_of_partners(tx: &Tx<'_>, partners: &[PartnerOf]) -> Result<Vec<i64>> {
    let statement = batch_sql!(
        PartnerOf,
        0,
        "SELECT DISTINCT b.person_id FROM {batch} CROSS JOIN bound b \
         WHERE b.program_id = batch.program_id AND b.partner_id = batch.partner_id"
    );
    let rows: Vec<(i64,)> = tx.batch_all(statement, &[], partners).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The cells of these payees that belong to no person. Every day comes after nothing: without that SQLite goes through all
/// cells of the owner for each payee.
pub async fn common_cells(tx: &Tx<'_>, payees: &[PayeeOf]) -> Result<Vec<CellRow>> {
    let statement = batch_sql!(
        PayeeOf,
        0,
        cells_where!(
            "c.person_id = batch.owner_id AND c.payee_id = batch.payee_id AND c.payee_id IS NOT NULL AND c.first_day >= ''"
        )
    );
    tx.batch_all(statement, &[], payees).await
}

/// The same of periods that begin within these days.
pub async fn common_cells_within(tx: &Tx<'_>, within: &[PayeeWithin]) -> Result<Vec<CellRow>> {
    let statement = batch_sql!(
        PayeeWithin,
        0,
        cells_where!(
            "c.person_id = batch.owner_id AND c.payee_id = batch.payee_id AND c.payee_id IS NOT NULL \
             AND c.first_day >= batch.from_day AND c.first_day < batch.to_day"
        )
    );
    tx.batch_all(statement, &[], within).await
}

/// The marks of these persons.
pub async fn marks_of_persons(tx: &Tx<'_>, persons: &[Number]) -> Result<Vec<(i64, i64, i64)>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT r.program_id, r.person_id, r.mark FROM {batch} CROSS JOIN repricing r WHERE r.person_id = batch.id"
    );
    tx.batch_all(statement, &[], persons).await
}

/// Keeps to whom persons are bound from now on.
pub(crate) async fn persons_bind(tx: &Tx<'_>, attributions: &[NewAttribution]) -> Result<()> {
    let statement = batch_sql!(
        NewAttribution,
        0,
        "INSERT INTO bound (program_id, partner_id, person_id) \
         SELECT p.program_id, batch.partner_id, p.id FROM {batch} CROSS JOIN person p WHERE p.id = batch.person_id \
         ON CONFLICT (program_id, partner_id, person_id) DO NOTHING"
    );
    tx.batch(statement, &[], attributions).await?;
    Ok(())
}

/// The same for partners that facts name, and for those who share in splits: they share cells with the person's facts as its
/// own partners do.
pub(crate) async fn persons_pay(tx: &Tx<'_>, rows: &[PersonPaysTo]) -> Result<()> {
    let statement = batch_sql!(
        PersonPaysTo,
        0,
        "INSERT INTO bound (program_id, partner_id, person_id) SELECT program_id, partner_id, person_id FROM {batch} \
         WHERE true ON CONFLICT (program_id, partner_id, person_id) DO NOTHING"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// The same for what an operator bound: all that the customer's person is bound to now.
pub(crate) async fn person_rebind(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO bound (program_id, partner_id, person_id) \
         SELECT DISTINCT c.program_id, a.partner_id, c.person_id FROM customer c JOIN attribution a ON a.person_id = c.person_id \
         WHERE c.account_id = $1 AND (c.id = $2 OR c.person_id = $2) \
         ON CONFLICT (program_id, partner_id, person_id) DO NOTHING"
    );
    tx.execute(statement, &[&account_id, &id]).await?;
    Ok(())
}

/// Whoever was a person's is the one's that it became.
pub(crate) async fn persons_join(tx: &Tx<'_>, merges: &[Merge]) -> Result<()> {
    let statement = batch_sql!(
        Merge,
        0,
        "INSERT INTO bound (program_id, partner_id, person_id) \
         SELECT b.program_id, b.partner_id, batch.into_id FROM {batch} CROSS JOIN bound b WHERE b.person_id = batch.from_id \
         ON CONFLICT (program_id, partner_id, person_id) DO NOTHING"
    );
    tx.batch(statement, &[], merges).await?;
    let statement =
        batch_sql!(Merge, 0, "DELETE FROM bound WHERE person_id IN (SELECT from_id FROM {batch} WHERE true)");
    tx.batch(statement, &[], merges).await?;
    Ok(())
}
