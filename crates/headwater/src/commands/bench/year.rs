//! A year of a broker's trading days in a store, with what was posted for them, and what they add up to.
//!
//! Rows are written as a settlement writes them, day after day, so that a person's lie far apart; pricing them on the way
//! would be another measurement. Invariant: the sums here come from the loop that makes the rows, never from the engine.

use super::settling::Settling;
use anyhow::{Context as _, Result};
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_domain::fact::{FactBody, TradingDay, daily_key};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal, MICROS};
use headwater_domain::time::{Date, Zone};
use headwater_store::outcome::{CellPut, NewAttribution, NewCommission, NewFact, Outcome, outcome_write};
use headwater_store::settlement::{PersonClaim, customer_claim, person_claim};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const DAYS: u16 = 365;
const FIRST_DAY: Date = Date::constant(2025, 1, 1);
/// Partners at the top, under each of them, and under each of those: the last have the clients.
const TREE: [usize; 3] = [3, 4, 10];
const ROWS_AT_ONCE: usize = 4000;
/// What was posted for a customer's month, in cents.
const POSTED_CENTS: i64 = 150;
/// Lots of a partner's month from which a lot pays so much, in USD.
const STEPS: [(i64, i64); 3] = [(0, 4), (500, 5), (5000, 6)];

/// The draft: steps by lots, a share of the spread, and partners above who get a fifth and a tenth on top.
pub fn draft() -> Value {
    let steps: Vec<_> =
        STEPS.iter().map(|(from, rate)| json!({ "from": from.to_string(), "rate": rate.to_string() })).collect();
    json!({
        "name": "draft", "currency": "USD", "tiers": { "method": "override", "levels": ["20", "10"] },
        "rules": [
            { "id": "lots", "kind": "per_lot", "brackets": { "metric": "lots", "mode": "whole", "steps": steps } },
            { "id": "spread", "kind": "percent", "percent": "10", "of": ["spread_cost"] },
        ]
    })
}

/// What was written so far.
pub struct Year<'a> {
    settling: &'a Settling,
    partners: Vec<PartnerId>,
    /// (person, partner), in the order in which they came.
    customers: Vec<(i64, PartnerId)>,
    rows: u64,
    /// By partner and month.
    lots: BTreeMap<(PartnerId, i8), i64>,
    posted: i64,
}

impl<'a> Year<'a> {
    /// The partners, in a tree three levels deep.
    pub async fn open(settling: &'a Settling) -> Result<Self> {
        let mut above: Vec<Option<String>> = vec![None];
        let mut partners = Vec::new();
        for (level, width) in TREE.into_iter().enumerate() {
            partners.clear();
            let mut names = Vec::new();
            for parent in &above {
                for _ in 0..width {
                    let name = format!("level{level}-{}", names.len());
                    let asked = PartnerRequest {
                        id: Some(name.clone()),
                        name: Some(name.clone()),
                        parent: Some(parent.clone()),
                        ..PartnerRequest::default()
                    };
                    let made = settling.app.partner_create(settling.account, asked, Keep::nothing()).await?;
                    partners.push(PartnerId(made.row.id));
                    names.push(Some(name));
                }
            }
            above = names;
        }
        Ok(Self { settling, partners, customers: Vec::new(), rows: 0, lots: BTreeMap::new(), posted: 0 })
    }

    pub fn account(&self) -> AccountId {
        self.settling.account
    }

    pub fn program(&self) -> ProgramId {
        self.settling.program
    }

    pub fn partners(&self) -> usize {
        self.partners.len()
    }

    pub fn customers(&self) -> usize {
        self.customers.len()
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// All lots.
    pub fn lots(&self) -> Decimal {
        Decimal(self.lots.values().sum::<i64>() * MICROS)
    }

    /// What the draft is worth, by hand: lots at the step that the partner's month reached, and 0.20 a row; a fifth and a
    /// tenth on top.
    pub fn worth(&self) -> Decimal {
        let rate = |lots: i64| STEPS.iter().rev().find(|(from, _)| *from <= lots).map_or(0, |(_, rate)| *rate);
        let of_lots: i64 = self.lots.values().map(|lots| lots * rate(*lots) * 100).sum();
        let of_rows = i64::try_from(self.rows).expect("rows are counted in millions") * 20;
        Decimal((of_lots + of_rows) * 13 * MICROS / 1000)
    }

    /// What was posted.
    pub fn posted(&self) -> Decimal {
        Decimal(self.posted * MICROS / 100)
    }

    /// Adds customers with a year each, until there are so many rows.
    pub async fn grow(&mut self, rows: u64) -> Result<()> {
        let wanted = usize::try_from(rows / u64::from(DAYS))?.max(1);
        let first = self.customers.len();
        while self.customers.len() < wanted {
            let count = (wanted - self.customers.len()).min(ROWS_AT_ONCE);
            self.add_customers(count).await?;
        }
        let mut day = FIRST_DAY;
        for _ in 0..DAYS {
            let mut outcome = Outcome::default();
            for place in first..wanted {
                self.add_row(place, day, &mut outcome);
                if outcome.facts.len() >= ROWS_AT_ONCE {
                    self.write(std::mem::take(&mut outcome)).await?;
                }
            }
            self.write(outcome).await?;
            day = day.tomorrow()?;
        }
        Ok(())
    }

    async fn add_customers(&mut self, count: usize) -> Result<()> {
        let (account, program) = (self.settling.account.0, self.settling.program.0);
        let at = Zone::UTC.start_of(FIRST_DAY).0;
        let mut outcome = Outcome::default();
        let mut claims = Vec::new();
        for _ in 0..count {
            let id = self.settling.app.next_id(self.settling.app.clock.now());
            let partner = self.partners[self.customers.len() % self.partners.len()];
            let email_key = format!("c{}@client.example", self.customers.len());
            self.customers.push((id, partner));
            claims.push(PersonClaim {
                id,
                account_id: account,
                program_id: program,
                email_key,
                name: None,
                created_at: at,
            });
            outcome.attributions.push(NewAttribution {
                person_id: id,
                customer_id: id,
                from_at: at,
                account_id: account,
                partner_id: partner.0,
                link_id: None,
                click_id: None,
                clicked_at: None,
                evidence: "broker".to_owned(),
                recorded_at: at,
                splits: None,
            });
        }
        let write = async move |tx: &headwater_store::backend::Tx<'_>| {
            person_claim(tx, &claims).await?;
            customer_claim(tx, &claims).await?;
            outcome_write(tx, &outcome).await
        };
        Ok(self.settling.app.store.money.write(write).await?)
    }

    fn add_row(&mut self, place: usize, date: Date, outcome: &mut Outcome) {
        let (person, partner) = self.customers[place];
        let usd = Currency::parse("USD").expect("a currency");
        let lots = i64::try_from(place % 3).expect("below 3") + i64::from(date.day() % 2) + 1;
        let instrument = if place.is_multiple_of(2) { "EURUSD" } else { "XAUUSD" };
        let day = TradingDay {
            date,
            instrument: instrument.to_owned(),
            lots: Decimal(lots * MICROS),
            volume_usd: Some(Decimal(lots * 100_000 * MICROS)),
            spread_cost: Some(Decimal(2 * MICROS)),
            commission: None,
            swap: None,
            pnl: Some(Decimal(-3_250_000)),
            product_group: None,
            currency: usd,
        };
        let (account, program) = (self.settling.account.0, self.settling.program.0);
        let (id, at) = (self.settling.app.next_id(self.settling.app.clock.now()), Zone::UTC.start_of(date).0);
        outcome.facts.push(NewFact {
            id,
            account_id: account,
            program_id: program,
            person_id: person,
            customer_id: person,
            kind: "trading_day".to_owned(),
            fact_key: daily_key(date, &person.to_string(), instrument, usd),
            revision: None,
            at,
            body: FactBody::TradingDay(Box::new(day)).to_json().to_string(),
            source: "forex".to_owned(),
            event_id: None,
            received_at: at,
            data: None,
            of_sale: None,
            trading_at: Some(at),
        });
        self.rows += 1;
        *self.lots.entry((partner, date.month())).or_default() += lots;
        if date == date.last_of_month() {
            self.post(person, partner, id, date, outcome);
        }
    }

    /// What a customer's month was posted with.
    fn post(&mut self, person: i64, partner: PartnerId, fact: i64, date: Date, outcome: &mut Outcome) {
        let period = format!("{}-{:02}", date.year(), date.month());
        let cell = format!("partner:{partner}|lots|USD|0|period:{person}:{period}");
        let (amount, at) = (POSTED_CENTS * MICROS / 100, Zone::UTC.start_of(date).0);
        let id = self.settling.app.next_id(self.settling.app.clock.now());
        self.posted += POSTED_CENTS;
        outcome.cells.push(CellPut {
            person_id: person,
            cell: cell.clone(),
            posted: amount,
            last_commission_id: id,
            cut_off: 0,
            payee_id: None,
            denied_change: 0,
            first_day: format!("{period}-01"),
        });
        outcome.commissions.push(NewCommission {
            id,
            account_id: self.settling.account.0,
            program_id: self.settling.program.0,
            partner_id: Some(partner.0),
            customer_id: None,
            person_id: person,
            rule: "lots".to_owned(),
            level: 0,
            cell,
            status: "pending".to_owned(),
            unit: "USD".to_owned(),
            amount,
            period: period.clone(),
            for_period: period,
            payable_at: at,
            fact_id: fact,
            event_id: None,
            corrects: None,
            plan: "standard".to_owned(),
            plan_number: 1,
            posted_before: 0,
            explanation: "{}".to_owned(),
            sale_amount: None,
            sale_currency: None,
            split: None,
            waits_for: None,
            origins: None,
            created_at: at,
        });
    }

    async fn write(&self, outcome: Outcome) -> Result<()> {
        let write = async move |tx: &headwater_store::backend::Tx<'_>| outcome_write(tx, &outcome).await;
        self.settling.app.store.money.write(write).await.context("rows are not written")
    }
}
