//! What a settlement tells webhooks of referrals: who became one, who bought for the first time, who cancelled, and what a record
//! changed about one, whoever sent it.
//!
//! Costs nothing where no webhook listens. Leaves moves to another partner to `customer`. Invariant: what is told is written in
//! the transaction of the change.

use super::view::View;
use crate::announce::{Told, announce, listens};
use crate::app::App;
use crate::referral::{PENDING, STATE, Shown, entity, uid_of};
use headwater_domain::commission::Split;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{CustomerId, PartnerId, PersonId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::ingest::AccountRow;
use serde_json::{Map, Value, json};

/// What callers say of a referral, and see again.
const SHOWN_ATTRIBUTES: [&str; 6] = ["fraud_check", "first_name", "last_name", "website", "comment", "metadata"];
/// The event by which a referral stops buying.
const CANCELLATION: &str = "\"CANCELLATION\"";

/// Announces them; gives whether there is something to deliver.
pub(super) async fn announce_referrals(tx: &Tx<'_>, app: &App, view: &View, now: Instant) -> Result<bool> {
    let mut told = Vec::new();
    for row in &view.outcome.attributions {
        let names = vec![("created", json!({}))];
        let state = given(view, row.person_id, row.customer_id).unwrap_or_else(|| "signup".to_owned());
        told.extend(of(app, view, row.person_id, row.customer_id, &state, names, now));
    }
    for row in &view.outcome.facts {
        let is_cancellation = row.kind == "event" && row.body.contains(CANCELLATION);
        let (from, to, name) = match row.kind.as_str() {
            "sale" if is_first_sale(view, row.person_id, row.customer_id) => ("signup", "active", "converted"),
            _ if is_cancellation => ("active", "cancelled", "cancelled"),
            _ => continue,
        };
        // A state that somebody gave it stands, whatever happens to it.
        let given = given(view, row.person_id, row.customer_id);
        let changes = json!({"state": [from, to]});
        let names = match given {
            None => vec![("updated", changes.clone()), (name, changes)],
            Some(_) => vec![(name, json!({}))],
        };
        told.extend(of(app, view, row.person_id, row.customer_id, given.as_deref().unwrap_or(to), names, now));
    }
    for (customer, before) in view.known.before.iter().filter(|(_, before)| !before.is_placeholder) {
        let Some(after) = view.known.accounts.get(customer) else { continue };
        let reached = reached(view, after);
        let changes = changes(before, after, reached);
        if !changes.is_empty() {
            let state = attributes(after)[STATE].as_str().unwrap_or(reached).to_owned();
            let names = vec![("updated", Value::Object(changes))];
            told.extend(of(app, view, after.person_id, customer.0, &state, names, now));
        }
    }
    if told.is_empty() { Ok(false) } else { announce(tx, app, &told, now).await }
}

/// The state that somebody gave a referral, where this settlement knows of one.
fn given(view: &View, person: i64, customer: i64) -> Option<String> {
    let customer = CustomerId(customer);
    if let Some(account) = view.known.accounts.get(&customer) {
        return attributes(account)[STATE].as_str().map(str::to_owned);
    }
    let waits = view.persons.get(&PersonId(person))?.waiting.contains(&customer);
    waits.then(|| PENDING.to_owned())
}

fn attributes(account: &AccountRow) -> Value {
    account.attributes.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What of a referral is shown and was changed by a record; `reached` is its state where nobody gave it one.
fn changes(before: &AccountRow, after: &AccountRow, reached: &str) -> Map<String, Value> {
    let given = |said: &Value| said[STATE].as_str().unwrap_or(reached).to_owned();
    let (was, is) = (attributes(before), attributes(after));
    let uid = |row: &AccountRow| uid_of(row.external_id.as_deref(), row.attributes.as_deref());
    let mut pairs = vec![
        ("email", json!(before.email), json!(after.email)),
        ("uid", json!(uid(before)), json!(uid(after))),
        ("username", json!(before.name), json!(after.name)),
        ("state", given(&was).into(), given(&is).into()),
    ];
    pairs.extend(SHOWN_ATTRIBUTES.map(|name| (name, was[name].clone(), is[name].clone())));
    let changed = pairs.into_iter().filter(|(_, was, is)| was != is);
    changed.map(|(name, was, is)| (name.to_owned(), json!([was, is]))).collect()
}

/// How far a referral has come by what happened to it, as its list says (`store::referral`).
fn reached(view: &View, account: &AccountRow) -> &'static str {
    let Some(record) = view.persons.get(&PersonId(account.person_id)) else { return "signup" };
    let own = || record.facts.iter().filter(|fact| fact.customer == CustomerId(account.id));
    let events = |name: &'static str| {
        own().filter(move |fact| matches!(&fact.body, FactBody::Event { event, .. } if event == name))
    };
    let sales = || own().filter(|fact| matches!(fact.body, FactBody::Sale { .. }));
    let last_sale = sales().map(|fact| fact.at).max();
    let cancelled = events("CANCELLATION").map(|fact| fact.at).max();
    if cancelled.is_some() && cancelled >= last_sale {
        return "cancelled";
    }
    let is_given_back = |key: &str| events("SALE_REFUNDED").any(|fact| fact.key == key);
    match last_sale {
        None => "signup",
        Some(_) if sales().all(|sale| is_given_back(&sale.key)) => "refunded",
        Some(_) => "active",
    }
}

fn is_first_sale(view: &View, person: i64, customer: i64) -> bool {
    let Some(record) = view.persons.get(&PersonId(person)) else { return false };
    let own = record.facts.iter().filter(|fact| fact.customer == CustomerId(customer));
    own.filter(|fact| matches!(fact.body, FactBody::Sale { .. })).count() == 1
}

/// One change of a referral, where somebody brought it and a webhook listens.
fn of(
    app: &App,
    view: &View,
    person: i64,
    customer: i64,
    state: &str,
    names: Vec<(&'static str, Value)>,
    now: Instant,
) -> Option<Told> {
    let record = view.persons.get(&PersonId(person))?;
    let (account, program) = (record.account, record.program);
    if !listens(app, account.0, program.0) {
        return None;
    }
    let partner: PartnerId = record.bindings.get(&CustomerId(customer))?.partner;
    let row = view.known.accounts.get(&CustomerId(customer));
    // A client of events is known by its email alone; other names of persons start with a space.
    let by_name = || {
        let mut names = view.person_by_email.iter().filter(|(_, id)| **id == record.id).map(|((_, name), _)| name);
        names.find(|name| !name.starts_with(' ')).cloned()
    };
    let account_view = record.customers.iter().find(|view| view.customer == CustomerId(customer));
    let binding = account_view.and_then(|view| view.bindings.last());
    let shown = Shown {
        id: customer,
        email: row.and_then(|row| row.email.clone()).or_else(by_name),
        external_id: row.and_then(|row| row.external_id.clone()),
        attributes: row.and_then(|row| row.attributes.clone()),
        state: state.to_owned(),
        created_at: row.map_or(now, |row| Instant(row.registered_at)),
        split: binding.map_or(Vec::new(), |binding| Split::latest(&binding.splits).to_vec()),
    };
    let membership = view.directory.membership_in(program, partner);
    Some(Told::other(account, program, "referral", customer, entity(&view.directory, &shown, membership), names))
}
