//! What a settlement tells webhooks of referrals: who became one, who bought for the first time, who cancelled.
//!
//! Costs nothing where no webhook listens. Leaves changes by hand to `referral`. Invariant: what is told is written in the
//! transaction of the change.

use super::view::View;
use crate::announce::{Told, announce, listens};
use crate::app::App;
use crate::referral::{Shown, entity};
use headwater_domain::commission::Split;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{CustomerId, PartnerId, PersonId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use serde_json::{Value, json};

/// The event by which a referral stops buying.
const CANCELLATION: &str = "\"CANCELLATION\"";

/// Announces them; gives whether there is something to deliver.
pub(super) async fn announce_referrals(tx: &Tx<'_>, app: &App, view: &View, now: Instant) -> Result<bool> {
    let mut told = Vec::new();
    for row in &view.outcome.attributions {
        let names = vec![("created", json!({}))];
        told.extend(of(app, view, row.person_id, row.customer_id, "signup", names, now));
    }
    for row in &view.outcome.facts {
        let is_cancellation = row.kind == "event" && row.body.contains(CANCELLATION);
        let (from, to, name) = match row.kind.as_str() {
            "sale" if is_first_sale(view, row.person_id, row.customer_id) => ("signup", "active", "converted"),
            _ if is_cancellation => ("active", "cancelled", "cancelled"),
            _ => continue,
        };
        let changes = json!({"state": [from, to]});
        let names = vec![("updated", changes.clone()), (name, changes)];
        told.extend(of(app, view, row.person_id, row.customer_id, to, names, now));
    }
    if told.is_empty() { Ok(false) } else { announce(tx, app, &told, now).await }
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
