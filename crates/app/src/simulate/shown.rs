//! A simulation as it is shown: who gains most leads, who loses most comes last.

use super::compared::{Compared, Simulation};
use crate::history::History;
use headwater_domain::ids::{AccountId, PartnerId};
use headwater_domain::money::{Decimal, Unit};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Rows of a list: half of them those who gain most, half those who lose most. A broker has a hundred thousand clients.
const ROWS_MAX: usize = 2000;

impl History {
    /// The object of the management API.
    pub fn simulation_json(&self, account: AccountId, found: &Simulation) -> Value {
        let partner = |id: PartnerId| {
            let known = self.directory.partner_by_id(account, id).map(|partner| partner.row.external_id.clone());
            known.unwrap_or_else(|| id.to_string())
        };
        let totals = found.totals.iter().map(|(unit, compared)| row(*unit, *compared));
        let count = |mut differences: Box<dyn Iterator<Item = i128> + '_>| {
            differences.by_ref().fold((0, 0), |(gain, lose), difference| {
                (gain + usize::from(difference > 0), lose + usize::from(difference < 0))
            })
        };
        let of_partners = count(Box::new(found.partners.values().map(|compared| compared.difference())));
        let of_customers = count(Box::new(found.customers.values().map(|compared| compared.difference())));
        let (partners, partners_left_out) = ranked(&found.partners, "partner", partner);
        let (customers, customers_left_out) = ranked(&found.customers, "customer", |id| id.to_string());
        json!({
            "persons": found.persons,
            "facts": found.facts,
            "totals": totals.collect::<Vec<_>>(),
            "partners": partners,
            "partners_left_out": partners_left_out,
            "customers": customers,
            "customers_left_out": customers_left_out,
            "gain": of_partners.0,
            "lose": of_partners.1,
            "customers_gain": of_customers.0,
            "customers_lose": of_customers.1,
            "held": found.held,
        })
    }
}

/// The rows at both ends, and how many between them are left out. Sorts no more than it shows.
fn ranked<I: Copy + Ord>(
    all: &BTreeMap<(I, Unit), Compared>,
    kind: &str,
    name: impl Fn(I) -> String,
) -> (Vec<Value>, usize) {
    let (mut gain, mut lose) = (BinaryHeap::new(), BinaryHeap::new());
    let mut left_out = 0;
    for ((id, unit), compared) in all {
        // In the order of the list: the last of those who gain goes over to the others, whose first is left out.
        gain.push((Reverse(compared.difference()), *id, *unit));
        let over = if gain.len() > ROWS_MAX / 2 { gain.pop() } else { None };
        lose.extend(over.map(Reverse));
        if lose.len() > ROWS_MAX / 2 {
            lose.pop();
            left_out += 1;
        }
    }
    let lose = lose.into_sorted_vec().into_iter().rev().map(|Reverse(row)| row);
    let rows = gain.into_sorted_vec().into_iter().chain(lose).map(|(_, id, unit)| {
        let mut row = row(unit, all[&(id, unit)]);
        row[kind] = name(id).into();
        row
    });
    (rows.collect(), left_out)
}

fn row(unit: Unit, compared: Compared) -> Value {
    let shown = |micros: i128| {
        i64::try_from(micros).map_or_else(|_| micros.to_string(), |micros| Decimal(micros).to_text(unit.minor_digits()))
    };
    json!({
        "unit": unit.name(),
        "posted": shown(compared.posted),
        "simulated": shown(compared.simulated),
        "difference": shown(compared.difference()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::money::Currency;

    #[test]
    fn of_very_many_rows_both_ends_are_shown() {
        let unit = Unit::Currency(Currency::parse("USD").expect("known"));
        let compared = |simulated: i128| Compared { posted: 0, simulated };
        let all = (0..5000_i128).map(|number| ((number, unit), compared(number))).collect();
        let (rows, left_out) = ranked(&all, "customer", |number| number.to_string());
        assert_eq!((rows.len(), left_out), (ROWS_MAX, 3000));
        assert_eq!((&rows[0]["customer"], &rows[ROWS_MAX - 1]["customer"]), (&json!("4999"), &json!("0")));
        assert_eq!((&rows[999]["customer"], &rows[1000]["customer"]), (&json!("4000"), &json!("999")));
        let (rows, left_out) =
            ranked(&BTreeMap::from([((1, unit), compared(1))]), "customer", |number| number.to_string());
        assert_eq!((rows.len(), left_out), (1, 0));
    }
}
