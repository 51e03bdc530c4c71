//! What persons' cells depend on: all of it, or the few facts of every kind but trading, and of trading some days alone.
//!
//! Leaves to the operations which days those are, and which revision of a fact stands. Invariants: what is asked for is read
//! whole, and only of persons that the caller has locked, where it decides on it; every row is of the account that asks. A
//! plus before an account keeps SQLite on the index by person.

use crate::backend::{Result, Tx};
use crate::settlement::{EventRow, events_unverified};
use crate::{batch, batch_sql, record};

record! {
    /// A customer of a person; `attributes`, JSON, where they say a state.
    pub struct CustomerRow { id: i64, person_id: i64, country: Option<String>, account_type: Option<String>, registered_at: i64, campaign: Option<String>, is_placeholder: bool, is_registered: bool, attributes: Option<String> }
}
record! {
    /// A binding of an account to a partner.
    pub struct AttributionRow { person_id: i64, customer_id: i64, from_at: i64, partner_id: i64, link_id: Option<i64>, click_id: Option<i64>, splits: Option<String>, until_at: Option<i64>, referred_at: Option<i64> }
}
record! {
    /// A revision of a fact.
    pub struct FactRow { id: i64, person_id: i64, customer_id: i64, kind: String, fact_key: String, revision: Option<i64>, at: i64, body: String, source: String }
}
record! {
    /// What a cell has posted, and the terms of its last commission.
    pub struct CellRow { person_id: i64, cell: String, posted: i64, last_commission_id: i64, cut_off: i64,
        last_fact: i64, last_period: String, last_payable_at: i64, last_plan: String, last_plan_number: i64,
    }
}
batch! {
    /// A person of an account.
    pub struct PersonOf { account_id: i64 = "int8", id: i64 = "int8" }
}
batch! {
    /// Trading of a person that stands in `[from_at, to_at)`.
    pub struct TradingWithin { account_id: i64 = "int8", person_id: i64 = "int8", from_at: i64 = "int8", to_at: i64 = "int8" }
}
batch! {
    /// Cells of a person whose periods begin in `[from_day, to_day)`; the days as `2025-01-31`, and [`NO_DAY`] for those of
    /// which no period is known.
    pub struct CellsWithin { account_id: i64 = "int8", person_id: i64 = "int8", from_day: String = "text", to_day: String = "text" }
}

/// The facts of which this holds, of the accounts and persons of a batch.
macro_rules! facts_where {
    ($condition:literal) => {
        concat!(
            "SELECT f.id, f.person_id, f.customer_id, f.type, f.fact_key, f.revision, f.at, f.body, f.source \
             FROM {batch} CROSS JOIN fact f WHERE f.account_id = batch.account_id AND ",
            $condition
        )
    };
}

/// The cells of which this holds, each with its last commission, which says of which account it is.
macro_rules! cells_where {
    ($condition:literal) => {
        concat!(
            "SELECT c.person_id, c.cell, c.posted, c.last_commission_id, c.cut_off, \
             m.fact_id, m.for_period, m.payable_at, m.plan, m.plan_number \
             FROM {batch} CROSS JOIN cell c CROSS JOIN commission m \
             WHERE m.id = c.last_commission_id AND m.account_id = batch.account_id AND ",
            $condition
        )
    };
}
pub(crate) use cells_where;

/// From where to where the day of a cell stands that has none: every day's name comes after nothing, and from `0` on. As a
/// range it is found in the same index as days are.
pub const NO_DAY: (&str, &str) = ("", "0");

/// Everything that these persons' cells depend on.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the rows of its own name")]
pub struct PersonState {
    pub customers: Vec<CustomerRow>,
    pub attributions: Vec<AttributionRow>,
    pub facts: Vec<FactRow>,
    pub cells: Vec<CellRow>,
    pub unverified: Vec<EventRow>,
}

/// Reads all of it.
pub async fn person_state(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<PersonState> {
    let mut state = person_basis(tx, persons).await?;
    state.facts = facts_whole(tx, persons).await?;
    state.cells = cells_whole(tx, persons).await?;
    Ok(state)
}

/// Reads who they are, and neither facts nor cells.
pub async fn person_basis(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<PersonState> {
    Ok(PersonState {
        customers: customers_of(tx, persons).await?,
        attributions: attributions_of(tx, persons).await?,
        facts: Vec::new(),
        cells: Vec::new(),
        unverified: events_unverified(tx, persons).await?,
    })
}

pub(crate) async fn customers_of(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<CustomerRow>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT c.id, c.person_id, c.country, c.account_type, c.registered_at, c.campaign, c.is_placeholder, c.is_registered, \
         CASE WHEN c.attributes LIKE '%\"referral_state\":%' THEN c.attributes END \
         FROM {batch} CROSS JOIN customer c WHERE c.person_id = batch.id AND +c.account_id = batch.account_id \
         ORDER BY c.registered_at, c.id"
    );
    tx.batch_all(statement, &[], persons).await
}

pub(crate) async fn attributions_of(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<AttributionRow>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT a.person_id, a.customer_id, a.from_at, a.partner_id, a.link_id, a.click_id, a.splits, a.until_at, a.referred_at FROM {batch} \
         CROSS JOIN attribution a WHERE a.person_id = batch.id AND a.account_id = batch.account_id"
    );
    tx.batch_all(statement, &[], persons).await
}

/// Every revision of every fact of these persons. In no order: sorting them would copy every body once more, and which
/// revision stands is told by its number.
pub async fn facts_whole(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<FactRow>> {
    tx.batch_all(batch_sql!(PersonOf, 0, facts_where!("f.person_id = batch.id")), &[], persons).await
}

/// Every revision of the facts of these persons that are not of trading.
pub async fn facts_beside_trading(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<FactRow>> {
    let statement = batch_sql!(PersonOf, 0, facts_where!("f.person_id = batch.id AND f.trading_at IS NULL"));
    tx.batch_all(statement, &[], persons).await
}

/// The standing revisions of the trading facts within these times.
pub async fn trading_within(tx: &Tx<'_>, within: &[TradingWithin]) -> Result<Vec<FactRow>> {
    let statement = batch_sql!(
        TradingWithin,
        0,
        facts_where!("f.person_id = batch.person_id AND f.trading_at >= batch.from_at AND f.trading_at < batch.to_at")
    );
    tx.batch_all(statement, &[], within).await
}

/// Every cell of these persons.
pub async fn cells_whole(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<CellRow>> {
    tx.batch_all(batch_sql!(PersonOf, 0, cells_where!("c.person_id = batch.id")), &[], persons).await
}

/// The cells whose periods begin within these days.
pub async fn cells_within(tx: &Tx<'_>, within: &[CellsWithin]) -> Result<Vec<CellRow>> {
    let statement = batch_sql!(
        CellsWithin,
        0,
        cells_where!("c.person_id = batch.person_id AND c.first_day >= batch.from_day AND c.first_day < batch.to_day")
    );
    tx.batch_all(statement, &[], within).await
}
