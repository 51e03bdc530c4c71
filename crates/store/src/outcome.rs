//! What a settlement leaves: events, facts, bindings, commissions, ledger entries, deliveries, in set-based statements.
//!
//! Nothing here changes what money has said before: commissions and entries are only added, an event is decided once, and of
//! a fact only what finds it moves: whose it is now, and whether it still stands among the days. What is held is what the last
//! pricing says, since it was first said.

use crate::backend::{Error, Result, Tx};
use crate::circle::{PersonPaysTo, persons_bind, persons_pay};
use crate::delivery::{NewDelivery, deliveries_insert};
use crate::inbox::{EventClaim, event_claims_move};
use crate::ingest::{Absorbed, AccountPut, FactMove, Merge, accounts_absorb, accounts_put, facts_move, persons_merge};
use crate::{batch, batch_sql, record};
use std::collections::{BTreeMap, BTreeSet};

/// In the place of when a trading fact stands, of a revision that another one took the place of.
pub const SUPERSEDED_AT: i64 = -9_000_000_000_000_000_000;

batch! {
    /// An event to add.
    pub struct NewEvent {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", kind: String = "text", person_id: Option<i64> = "int8",
        click_id: Option<i64> = "int8", link_id: Option<i64> = "int8", partner_id: Option<i64> = "int8", amount: Option<String> = "text",
        currency: Option<String> = "text", is_conversion: bool = "bool", is_duplicate: bool = "bool", state: String = "text",
        evidence: String = "text", evidence_reason: Option<String> = "text", occurred_at: i64 = "int8", received_at: i64 = "int8",
        event_key: Option<String> = "text", metadata: Option<String> = "text", data: Option<String> = "text", key_id: i64 = "int8",
        is_advertised: bool = "bool",
    }
}
batch! {
    /// What a confirmation or a refusal changes.
    pub struct EventDecision {
        id: i64 = "int8", state: String = "text", amount: Option<String> = "text", currency: Option<String> = "text",
        is_conversion: bool = "bool", is_duplicate: bool = "bool", click_id: Option<i64> = "int8", link_id: Option<i64> = "int8",
        partner_id: Option<i64> = "int8", evidence: String = "text", event_key: Option<String> = "text",
    }
}
batch! {
    /// A client's record after this settlement.
    pub struct PersonUpdate { id: i64 = "int8", event_types: String = "text", qualified_at: Option<i64> = "int8", trading: Option<String> = "text" }
}
batch! {
    /// When a customer registered.
    pub struct CustomerUpdate { id: i64 = "int8", registered_at: i64 = "int8" }
}
batch! {
    /// A binding to add; `splits`: who shares what it earns, by date.
    pub struct NewAttribution {
        person_id: i64 = "int8", customer_id: i64 = "int8", from_at: i64 = "int8", account_id: i64 = "int8", partner_id: i64 = "int8", link_id: Option<i64> = "int8",
        click_id: Option<i64> = "int8", clicked_at: Option<i64> = "int8", evidence: String = "text", recorded_at: i64 = "int8",
        splits: Option<String> = "text",
    }
}
batch! {
    /// A fact to add; `of_sale`: the key of the sale that a refund is of; `trading_at`: when it stands, where it is of trading.
    pub struct NewFact {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", person_id: i64 = "int8", customer_id: i64 = "int8",
        kind: String = "text", fact_key: String = "text", revision: Option<i64> = "int8", at: i64 = "int8", body: String = "text",
        source: String = "text", event_id: Option<i64> = "int8", received_at: i64 = "int8", data: Option<String> = "text",
        of_sale: Option<String> = "text", trading_at: Option<i64> = "int8",
    }
}
batch! {
    /// A person whose held facts are written anew.
    pub struct HeldPerson { person_id: i64 = "int8" }
}
batch! {
    /// A fact whose holds are written anew, and no others of its person.
    pub struct HeldFact { fact_id: i64 = "int8" }
}
batch! {
    /// A revision of a trading fact that another one takes the place of.
    pub struct Superseded { id: i64 = "int8" }
}
batch! {
    /// A fact that is held by the number of another revision, which says the same.
    pub struct HeldMove { from_id: i64 = "int8", to_id: i64 = "int8" }
}
batch! {
    /// A fact that is held no longer for this reason.
    struct HeldGone { fact_id: i64 = "int8", reason: String = "text" }
}
batch! {
    /// A fact that cannot be priced yet.
    pub struct NewHeld {
        fact_id: i64 = "int8", reason: String = "text", account_id: i64 = "int8", program_id: i64 = "int8", person_id: i64 = "int8",
        detail: String = "text", since: i64 = "int8",
    }
}
batch! {
    /// What a cell has posted after this settlement; `payee_id`: whose it is, where it belongs to no person; `denied_change`: by how
    /// much more of it is denied; `first_day`: of its period, empty where it has none.
    pub struct CellPut { person_id: i64 = "int8", cell: String = "text", posted: i64 = "int8", last_commission_id: i64 = "int8", cut_off: i64 = "int8", payee_id: Option<i64> = "int8", denied_change: i64 = "int8", first_day: String = "text" }
}
batch! {
    /// A posting to add; `split`: who shared what it is a portion of; `origins`: where it comes from; `waits_for`: with which customer
    /// it is approved.
    pub struct NewCommission {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", partner_id: Option<i64> = "int8", customer_id: Option<i64> = "int8",
        person_id: i64 = "int8", rule: String = "text", level: i64 = "int8", cell: String = "text", status: String = "text", unit: String = "text",
        amount: i64 = "int8", period: String = "text", for_period: String = "text", payable_at: i64 = "int8", fact_id: i64 = "int8",
        event_id: Option<i64> = "int8", corrects: Option<i64> = "int8", plan: String = "text", plan_number: i64 = "int8",
        posted_before: i64 = "int8", explanation: String = "text", created_at: i64 = "int8", sale_amount: Option<i64> = "int8",
        sale_currency: Option<String> = "text", split: Option<String> = "text", origins: Option<String> = "text",
        waits_for: Option<i64> = "int8",
    }
}
batch! {
    /// A ledger account that must exist.
    pub struct LedgerAccountClaim {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", owner: String = "text", unit: String = "text", name: String = "text",
        head_hash: String = "text",
    }
}
record! {
    /// A locked ledger account: its balance, how many entries it has, and the hash of the last.
    pub struct LedgerAccountRow {
        id: i64, program_id: i64, owner: String, unit: String, name: String, balance: i64, entries: i64, head_hash: String,
    }
}
batch! {
    /// A ledger account after this settlement.
    pub struct LedgerAccountPut { id: i64 = "int8", balance: i64 = "int8", entries: i64 = "int8", head_hash: String = "text" }
}
/// Everything that a settlement adds beside the ledger.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the rows of its own name")]
pub struct Outcome {
    pub events: Vec<NewEvent>,
    pub event_decisions: Vec<EventDecision>,
    pub claims_moved: Vec<EventClaim>,
    pub persons: Vec<PersonUpdate>,
    pub customers: Vec<CustomerUpdate>,
    pub attributions: Vec<NewAttribution>,
    pub facts: Vec<NewFact>,
    pub payees: Vec<PersonPaysTo>,
    pub superseded: Vec<Superseded>,
    pub held_persons: Vec<HeldPerson>,
    pub held_facts: Vec<HeldFact>,
    pub held_moves: Vec<HeldMove>,
    pub held: Vec<NewHeld>,
    pub cells: Vec<CellPut>,
    pub commissions: Vec<NewCommission>,
    pub deliveries: Vec<NewDelivery>,
    pub merges: Vec<Merge>,
    pub accounts: Vec<AccountPut>,
    pub absorbed: Vec<Absorbed>,
    pub fact_moves: Vec<FactMove>,
}

/// Writes it all.
pub async fn outcome_write(tx: &Tx<'_>, outcome: &Outcome) -> Result<()> {
    persons_merge(tx, &outcome.merges).await?;
    accounts_put(tx, &outcome.accounts).await?;
    let events = batch_sql!(
        NewEvent,
        0,
        "INSERT INTO event (id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, \
         is_conversion, is_duplicate, state, evidence, evidence_reason, occurred_at, received_at, event_key, metadata, data, key_id, is_advertised) \
         SELECT id, account_id, program_id, kind, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, evidence_reason, occurred_at, received_at, event_key, metadata, data, key_id, is_advertised \
         FROM {batch} WHERE true"
    );
    tx.batch(events, &[], &outcome.events).await?;
    events_decide(tx, &outcome.event_decisions).await?;
    event_claims_move(tx, &outcome.claims_moved).await?;
    let persons = batch_sql!(
        PersonUpdate,
        0,
        "UPDATE person SET event_types = batch.event_types, qualified_at = batch.qualified_at, trading = batch.trading FROM {batch} \
         WHERE person.id = batch.id"
    );
    tx.batch(persons, &[], &outcome.persons).await?;
    let customers = batch_sql!(
        CustomerUpdate,
        0,
        "UPDATE customer SET registered_at = batch.registered_at FROM {batch} WHERE customer.id = batch.id"
    );
    tx.batch(customers, &[], &outcome.customers).await?;
    let attributions = batch_sql!(
        NewAttribution,
        0,
        "INSERT INTO attribution (person_id, customer_id, from_at, account_id, partner_id, link_id, click_id, clicked_at, evidence, recorded_at, splits) \
         SELECT person_id, customer_id, from_at, account_id, partner_id, link_id, click_id, clicked_at, evidence, recorded_at, splits FROM {batch} WHERE true"
    );
    tx.batch(attributions, &[], &outcome.attributions).await?;
    persons_bind(tx, &outcome.attributions).await?;
    persons_pay(tx, &outcome.payees).await?;
    facts_insert(tx, &outcome.facts).await?;
    let superseded = batch_sql!(Superseded, 1, "UPDATE fact SET trading_at = $1 FROM {batch} WHERE fact.id = batch.id");
    tx.batch(superseded, &[&SUPERSEDED_AT], &outcome.superseded).await?;
    facts_move(tx, &outcome.fact_moves).await?;
    accounts_absorb(tx, &outcome.absorbed).await?;
    held_write(tx, outcome).await?;
    let cells = batch_sql!(
        CellPut,
        0,
        "INSERT INTO cell (person_id, cell, posted, last_commission_id, cut_off, payee_id, denied, first_day) \
         SELECT person_id, cell, posted, last_commission_id, cut_off, payee_id, denied_change, first_day FROM {batch} WHERE true ON CONFLICT (person_id, cell) \
         DO UPDATE SET posted = excluded.posted, last_commission_id = excluded.last_commission_id, cut_off = excluded.cut_off, \
         first_day = excluded.first_day, \
         denied = cell.denied + excluded.denied"
    );
    tx.batch(cells, &[], &outcome.cells).await?;
    // Approved with its hold over: posted as payable, and so it is due (`store::commission`).
    let commissions = batch_sql!(
        NewCommission,
        0,
        "INSERT INTO commission (id, account_id, program_id, partner_id, customer_id, person_id, rule, level, cell, status, unit, \
         amount, period, for_period, payable_at, fact_id, event_id, corrects, plan, plan_number, posted_before, explanation, created_at, sale_amount, sale_currency, split, origins, waits_for, due_at) \
         SELECT id, account_id, program_id, partner_id, customer_id, person_id, rule, level, cell, status, unit, amount, period, \
         for_period, payable_at, fact_id, event_id, corrects, plan, plan_number, posted_before, explanation, created_at, sale_amount, sale_currency, split, origins, waits_for, \
         CASE WHEN status = 'approved' AND payable_at <= created_at THEN created_at END FROM {batch} WHERE true"
    );
    tx.batch(commissions, &[], &outcome.commissions).await?;
    deliveries_insert(tx, &outcome.deliveries).await
}

/// Adds revisions of facts.
pub async fn facts_insert(tx: &Tx<'_>, facts: &[NewFact]) -> Result<()> {
    let statement = batch_sql!(
        NewFact,
        0,
        "INSERT INTO fact (id, account_id, program_id, person_id, customer_id, type, fact_key, revision, at, body, source, event_id, received_at, data, of_sale, trading_at) \
         SELECT id, account_id, program_id, person_id, customer_id, kind, fact_key, revision, at, body, source, event_id, received_at, data, of_sale, trading_at \
         FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], facts).await?;
    Ok(())
}

/// Decides unverified events; one that was decided meanwhile undoes the whole transaction.
async fn events_decide(tx: &Tx<'_>, decisions: &[EventDecision]) -> Result<()> {
    let statement = batch_sql!(
        EventDecision,
        0,
        "UPDATE event SET state = batch.state, amount = batch.amount, currency = batch.currency, \
         is_conversion = batch.is_conversion, is_duplicate = batch.is_duplicate, click_id = batch.click_id, \
         link_id = batch.link_id, partner_id = batch.partner_id, evidence = batch.evidence, event_key = batch.event_key \
         FROM {batch} WHERE event.id = batch.id AND event.state = 'unverified'"
    );
    let decided = tx.batch(statement, &[], decisions).await?;
    if decided != decisions.len() as u64 {
        return Err(Error::Abandoned("an event was decided by another transaction".into()));
    }
    Ok(())
}

/// What the persons, or some of their facts, have held now takes the place of what was held; what stays held keeps its date,
/// also by the number of a later revision that says the same.
async fn held_write(tx: &Tx<'_>, outcome: &Outcome) -> Result<()> {
    let moves = batch_sql!(
        HeldMove,
        0,
        "UPDATE held SET fact_id = batch.to_id FROM {batch} WHERE held.fact_id = batch.from_id"
    );
    tx.batch(moves, &[], &outcome.held_moves).await?;
    let dismissals = batch_sql!(
        HeldMove,
        0,
        "UPDATE held_dismissal SET fact_id = batch.to_id FROM {batch} WHERE held_dismissal.fact_id = batch.from_id"
    );
    tx.batch(dismissals, &[], &outcome.held_moves).await?;
    // What is told of a fact that moved is told of where it is now.
    let places: BTreeMap<i64, i64> = outcome.held_moves.iter().map(|put| (put.from_id, put.to_id)).collect();
    let mut told = outcome.held_facts.clone();
    let elsewhere = outcome.held_facts.iter().filter_map(|told| places.get(&told.fact_id));
    told.extend(elsewhere.map(|fact_id| HeldFact { fact_id: *fact_id }));
    let standing = batch_sql!(
        HeldPerson,
        0,
        "SELECT fact_id, reason FROM held WHERE person_id IN (SELECT person_id FROM {batch})"
    );
    let mut standing: Vec<(i64, String)> = tx.batch_all(standing, &[], &outcome.held_persons).await?;
    let of_facts = batch_sql!(
        HeldFact,
        0,
        "SELECT h.fact_id, h.reason FROM {batch} CROSS JOIN held h WHERE h.fact_id = batch.fact_id"
    );
    standing.extend(tx.batch_all::<_, (i64, String)>(of_facts, &[], &told).await?);
    let staying: BTreeSet<_> = outcome.held.iter().map(|held| (held.fact_id, held.reason.as_str())).collect();
    let gone: Vec<_> = standing
        .into_iter()
        .filter(|(fact_id, reason)| !staying.contains(&(*fact_id, reason.as_str())))
        .map(|(fact_id, reason)| HeldGone { fact_id, reason })
        .collect();
    let delete = batch_sql!(
        HeldGone,
        0,
        "DELETE FROM held WHERE (fact_id, reason) IN (SELECT fact_id, reason FROM {batch} WHERE true)"
    );
    tx.batch(delete, &[], &gone).await?;
    let held = batch_sql!(
        NewHeld,
        0,
        "INSERT INTO held (fact_id, reason, account_id, program_id, person_id, detail, since) \
         SELECT fact_id, reason, account_id, program_id, person_id, detail, since FROM {batch} WHERE true \
         ON CONFLICT (fact_id, reason) DO UPDATE SET detail = excluded.detail, person_id = excluded.person_id"
    );
    tx.batch(held, &[], &outcome.held).await?;
    Ok(())
}

/// Makes the ledger accounts that are new, locks all of them in their order, and reads them.
pub async fn ledger_accounts_lock(tx: &Tx<'_>, mut claims: Vec<LedgerAccountClaim>) -> Result<Vec<LedgerAccountRow>> {
    claims.sort_by(|a, b| (a.program_id, &a.owner, &a.unit, &a.name).cmp(&(b.program_id, &b.owner, &b.unit, &b.name)));
    let insert = batch_sql!(
        LedgerAccountClaim,
        0,
        "INSERT INTO ledger_account (id, account_id, program_id, owner, unit, name, balance, entries, head_hash) \
         SELECT id, account_id, program_id, owner, unit, name, 0, 0, head_hash FROM {batch} WHERE true \
         ON CONFLICT (program_id, owner, unit, name) DO NOTHING"
    );
    tx.batch(insert, &[], &claims).await?;
    let lock = batch_sql!(
        LedgerAccountClaim,
        0,
        "SELECT a.id, a.program_id, a.owner, a.unit, a.name, a.balance, a.entries, a.head_hash FROM {batch} \
         CROSS JOIN ledger_account a WHERE a.program_id = batch.program_id AND a.owner = batch.owner \
         AND a.unit = batch.unit AND a.name = batch.name \
         ORDER BY a.program_id, a.owner, a.unit, a.name FOR UPDATE"
    );
    tx.batch_all(lock, &[], &claims).await
}
