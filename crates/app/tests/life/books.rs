//! An application whose commissions are posted by hand, as a settlement posts them, and what its books say.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::commission::CommissionRow;
use headwater_app::ledger::BalanceFilter;
use headwater_app::ledger::book::{Booking, book};
use headwater_app::statement::StatementRequest;
use headwater_domain::ids::{AccountId, CommissionId, CustomerId, PartnerId, ProgramId};
use headwater_domain::ledger::{Origin, Owner, Stage, TakenFrom, accrual, statement};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::outcome::{CellPut, NewCommission, Outcome, outcome_write};
use headwater_store::partner::{NewPartner, partner_insert};
use headwater_store::tenant::{account_insert, program_insert};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::TestStore;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Where the manual clock starts.
pub const NOW: Instant = Instant::from_seconds(1_790_000_000);
/// One unit of a currency, in millionths.
pub const ONE: i64 = 1_000_000;

/// A program with partners `ib1`, `ib2`, `ib3`.
pub struct Books {
    pub app: Arc<App>,
    pub account: AccountId,
    pub program: ProgramId,
    pub partners: Vec<PartnerId>,
    cells: Mutex<Cells>,
    _store: TestStore,
}

/// The cell of each posting, by its first one; and the last posting and the sum of each cell.
#[derive(Debug, Default)]
struct Cells {
    first: BTreeMap<i64, i64>,
    last: BTreeMap<i64, (i64, i64)>,
}

/// A commission to post.
#[derive(Debug, Clone)]
pub struct Posting {
    pub partner: PartnerId,
    pub unit: &'static str,
    pub amount: i64,
    pub approved: bool,
    pub hold_seconds: i64,
    pub corrects: Option<i64>,
    /// A customer that is paid in place of the partner.
    pub customer: Option<CustomerId>,
}

impl Posting {
    /// 100 dollars, due at once.
    pub fn new(partner: PartnerId) -> Self {
        Self {
            partner,
            unit: "USD",
            amount: 100 * ONE,
            approved: true,
            hold_seconds: 0,
            corrects: None,
            customer: None,
        }
    }

    /// Waits for a decision.
    pub fn pending(partner: PartnerId) -> Self {
        Self { approved: false, ..Self::new(partner) }
    }
}

impl Books {
    /// Empty books.
    pub async fn new(store: TestStore) -> Self {
        let made = store.store.money.write(async |tx| {
            let account = account_insert(tx, "a", 0).await?;
            let program = program_insert(tx, account, "p", "https://www.broker.example", "{}", 0).await?;
            let mut partners = Vec::new();
            for name in ["ib1", "ib2", "ib3"] {
                let new = NewPartner {
                    account_id: account,
                    external_id: Some(name.into()),
                    name: name.into(),
                    email: None,
                    program_id: None,
                    parent_id: None,
                    plan: None,
                    rates: "{}".into(),
                    metadata: "{}".into(),
                    created_at: 0,
                };
                partners.push(PartnerId(partner_insert(tx, &new).await?.expect("the first of its name")));
            }
            Ok((account, program, partners))
        });
        let (account, program, partners) = made.await.expect("an empty store takes a fixture");
        let start = Start {
            clock: Clock::manual(NOW),
            master_key: [7; 32],
            public_url: "https://go.broker.example".into(),
            egress_allow: Vec::new(),
        };
        let app = App::start(store.store.clone(), start).await.expect("starts");
        Self {
            app,
            account: AccountId(account),
            program: ProgramId(program),
            partners,
            cells: Mutex::default(),
            _store: store,
        }
    }

    /// Posts a commission as a settlement does, in the cell of what it corrects; gives its number.
    pub async fn post(&self, posting: Posting) -> i64 {
        let now = self.app.clock.now();
        let id = self.app.next_id(now);
        let (first, last, posted_before) = {
            let mut cells = self.cells.lock().expect("nobody panicked with it");
            let first = posting.corrects.map_or(id, |corrected| cells.first[&corrected]);
            cells.first.insert(id, first);
            let (last, sum) = cells.last.get(&first).copied().unzip();
            let sum = sum.unwrap_or(0);
            cells.last.insert(first, (id, sum + posting.amount));
            (first, last, sum)
        };
        let payable_at = now.plus_seconds(posting.hold_seconds);
        let (account_id, program_id) = (self.account.0, self.program.0);
        let commission = NewCommission {
            id,
            account_id,
            program_id,
            partner_id: posting.customer.is_none().then_some(posting.partner.0),
            customer_id: posting.customer.map(|customer| customer.0),
            // The program's cells, as where it is priced as a whole: who decides holds its lock.
            person_id: -program_id,
            rule: "cpa".into(),
            level: 0,
            cell: format!("c{first}"),
            status: if posting.approved { "approved" } else { "pending" }.into(),
            unit: posting.unit.into(),
            amount: posting.amount,
            period: "2026-09".into(),
            for_period: "2026-09".into(),
            payable_at: payable_at.0,
            // As one that was made by hand: it needs no fact.
            fact_id: 0,
            event_id: None,
            corrects: last,
            plan: "ib".into(),
            plan_number: 1,
            posted_before,
            explanation: "{}".into(),
            created_at: now.0,
            sale_amount: None,
            sale_currency: None,
            split: None,
            waits_for: None,
            origins: Some(Origin::to_stored(&[Origin::of(&first.to_string())])),
        };
        let cell = CellPut {
            person_id: -program_id,
            cell: commission.cell.clone(),
            posted: posted_before + posting.amount,
            last_commission_id: id,
            cut_off: 0,
            payee_id: None,
            denied_change: 0,
            first_day: String::new(),
        };
        let owner = posting.customer.map_or(Owner::Partner(posting.partner), Owner::Customer);
        let amount = Decimal(posting.amount);
        let stage = Stage::posted(TakenFrom::Owed, posting.approved, payable_at <= now);
        let transfer = accrual(owner, amount, stage).remove(0);
        let unit = posting.unit.to_owned();
        let booking = Booking { account_id, program_id, unit, transfer, commission: Some(id), payout: None };
        let outcome = Outcome { commissions: vec![commission], cells: vec![cell], ..Outcome::default() };
        let app = Arc::clone(&self.app);
        let written = self.app.store.money.write(async move |tx| {
            outcome_write(tx, &outcome).await?;
            book(tx, &app, std::slice::from_ref(&booking), now).await
        });
        written.await.expect("a posting is written");
        id
    }

    /// A commission as it is now.
    pub async fn read(&self, id: i64) -> CommissionRow {
        self.app.commission_read(self.account, CommissionId(id)).await.expect("there")
    }

    /// Balances that are not nothing, in millionths, by owner, unit and name.
    pub async fn balances(&self) -> BTreeMap<(String, String, String), i64> {
        let rows = self.app.balance_list(self.account, BalanceFilter::default()).await.expect("balances");
        let rows = rows.into_iter().filter(|row| row.balance != 0);
        rows.map(|row| ((row.owner, row.unit, row.name), row.balance)).collect()
    }

    /// The balances of a partner in dollars, by account, those that are not nothing.
    pub async fn owed(&self, partner: PartnerId) -> Vec<(String, i64)> {
        let owner = format!("partner:{partner}");
        let all = self.balances().await.into_iter().filter(|((of, unit, _), _)| *of == owner && unit == "USD");
        all.map(|((_, _, name), balance)| (name, balance / ONE)).collect()
    }

    /// The text of a partner's statement, whole.
    pub async fn statement(&self, partner: &str) -> String {
        let asked = StatementRequest { partner: partner.into(), program: None, from: None, to: None };
        self.app.statement(self.account, asked).await.expect("a statement")
    }

    /// Everything adds up to nothing, and every chain holds.
    pub async fn hold(&self) {
        assert_eq!(count(&self.app.store, Figure::Unbalanced).await, 0, "a transaction does not add up to nothing");
        assert_eq!(count(&self.app.store, Figure::Balance).await, 0, "the books do not add up to nothing");
        let key = self.app.statement_public_key(self.account);
        for partner in ["ib1", "ib2", "ib3"] {
            let text = self.statement(partner).await;
            statement::verify(&text, Some(&key)).unwrap_or_else(|broken| panic!("{partner}: {broken}\n{text}"));
        }
    }
}
