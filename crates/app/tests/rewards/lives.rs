//! Random commands at once, and after each round the whole truth anew: balances from the statuses, and every webhook's
//! story of a commission or payout as one chain of steps that ends where it stands.
//!
//! The seed is printed; `HEADWATER_REWARDS_SEED` runs one again.

use crate::books::{Books, ONE, Posting};
use crate::story::{heard, holds, told};
use headwater_app::batch::{BatchAction, BatchRequest};
use headwater_app::commission::CommissionFilter;
use headwater_app::payout::PayoutFilter;
use headwater_domain::ids::CustomerId;
use headwater_domain::payout::PayoutStatus;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Map;
use std::collections::BTreeMap;
use std::sync::Arc;

on_both_stores! {
    random_commands_at_once_leave_books_that_add_up,
}

const ROUNDS: usize = 40;
const COMMANDS_AT_ONCE: usize = 5;

/// `splitmix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }
    fn some(&mut self, items: &[i64], count: usize) -> Vec<i64> {
        if items.is_empty() { Vec::new() } else { (0..count).map(|_| items[self.below(items.len())]).collect() }
    }
}

async fn random_commands_at_once_leave_books_that_add_up(store: TestStore) {
    let books = Arc::new(heard(store).await);
    let given = std::env::var("HEADWATER_REWARDS_SEED").ok().and_then(|text| text.parse().ok());
    let entropy = u64::from(std::process::id()) ^ u64::from_le_bytes(headwater_app::secrets::random::<8>());
    let seed = given.unwrap_or(entropy);
    println!("HEADWATER_REWARDS_SEED={seed}");
    let mut random = Random(seed);
    let mut commissions: BTreeMap<i64, Posting> = BTreeMap::new();
    for round in 0..ROUNDS {
        for _ in 0..=random.below(3) {
            let (id, posting) = post(&books, &mut random, &commissions).await;
            commissions.insert(id, posting);
        }
        books.app.clock.advance_seconds([0, 1, 60][random.below(3)]);
        books.app.fall_due(None).await.expect("falls due");
        let ids: Vec<i64> = commissions.keys().copied().collect();
        let payouts = books.app.payout_list(books.account, PayoutFilter::default(), 1000).await.expect("lists");
        let payouts: Vec<i64> = payouts.iter().map(|payout| payout.id).collect();
        let commands: Vec<_> = (0..COMMANDS_AT_ONCE).map(|_| command(&books, &mut random, &ids, &payouts)).collect();
        for command in commands {
            command.await.expect("answers");
        }
        compare(&books, &commissions, &format!("seed {seed}, round {round}")).await;
    }
    holds(&books).await;
}

async fn post(books: &Books, random: &mut Random, known: &BTreeMap<i64, Posting>) -> (i64, Posting) {
    let amount = (i64::try_from(random.below(90)).expect("small") + 10) * ONE;
    let mut posting = Posting {
        partner: books.partners[random.below(3)],
        unit: ["USD", "points", "free_months"][random.below(3)],
        amount,
        approved: false,
        hold_seconds: [0, 0, 60][random.below(3)],
        corrects: None,
        customer: (random.below(4) == 0).then_some(CustomerId(905)),
    };
    let ids: Vec<i64> = known.keys().copied().collect();
    if random.below(5) == 0
        && let Some(corrected) = random.some(&ids, 1).pop()
        && known[&corrected].amount > 0
    {
        posting = Posting { amount: -known[&corrected].amount, corrects: Some(corrected), ..known[&corrected].clone() };
    }
    (books.post(posting.clone()).await, posting)
}

/// Starts one command; whatever it may not do, it says.
fn command(books: &Arc<Books>, random: &mut Random, ids: &[i64], payouts: &[i64]) -> tokio::task::JoinHandle<()> {
    let books = Arc::clone(books);
    let choice = random.below(16);
    let (of_commissions, of_payouts) = (random.some(ids, 3), random.some(payouts, 2));
    let batch = match choice {
        0..=3 => Some((BatchAction::CommissionApprove, of_commissions)),
        4 => Some((BatchAction::CommissionDeny, of_commissions)),
        5 | 6 => Some((BatchAction::CommissionMarkFulfilled, of_commissions)),
        7 => Some((BatchAction::CommissionMarkUnfulfilled, of_commissions)),
        8 | 9 => Some((BatchAction::CommissionGeneratePayouts, of_commissions)),
        10 => Some((BatchAction::CommissionDestroy, of_commissions[..of_commissions.len().min(1)].to_vec())),
        11 => Some((BatchAction::PayoutMarkAsPaid, of_payouts.clone())),
        12 => Some((BatchAction::PayoutMarkAsUnpaid, of_payouts.clone())),
        13 => Some((BatchAction::PayoutDestroy, of_payouts.clone())),
        _ => None,
    };
    tokio::spawn(async move {
        match (batch, of_payouts.first()) {
            (Some((action, ids)), _) if !ids.is_empty() => {
                let request = BatchRequest { action, ids, parameters: Map::new(), actor: "key:1".into() };
                books.app.batch_start(books.account, request).await.expect("answers");
            }
            (None, Some(payout)) if choice == 14 => {
                let failed = books.app.payout_finish(books.account, *payout, PayoutStatus::Failed, None, "key:1");
                let _ = failed.await;
            }
            (None, _) => {
                let now = books.app.clock.now();
                books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs");
            }
            _ => {}
        }
    })
}

async fn compare(books: &Books, known: &BTreeMap<i64, Posting>, story: &str) {
    let rows = books.app.commission_list(books.account, CommissionFilter::default(), 10_000).await.expect("lists");
    let now = books.app.clock.now().0;
    let mut owed: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut balances: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    for row in &rows {
        let posting = &known[&row.id];
        let owner = posting.customer.map_or(format!("partner:{}", posting.partner), |id| format!("customer:{id}"));
        let mut add = |owner: &str, name: &str, amount: i64| {
            *balances.entry((owner.to_owned(), row.unit.clone(), name.to_owned())).or_default() += amount;
        };
        if row.status == "denied" {
            continue;
        }
        add("program", "expense", -row.amount);
        match row.status.as_str() {
            "pending" => add(&owner, "accrued", row.amount),
            "approved" if row.payable_at > now => add(&owner, "held", row.amount),
            "approved" | "in_payout" => *owed.entry((owner, row.unit.clone())).or_default() += row.amount,
            "paid" | "fulfilled" => add(&owner, "paid", row.amount),
            other => panic!("{story}: {other}"),
        }
    }
    for ((owner, unit), amount) in owed {
        let name = if amount > 0 { "payable" } else { "receivable" };
        *balances.entry((owner, unit, name.to_owned())).or_default() += amount;
    }
    balances.retain(|_, balance| *balance != 0);
    assert_eq!(books.balances().await, balances, "{story}");
    chains(books, &rows.iter().map(|row| (row.id, decision(&row.status))).collect(), story).await;
}

fn decision(status: &str) -> &'static str {
    match status {
        "pending" => "pending",
        "denied" => "denied",
        _ => "approved",
    }
}

/// What was told of each commission and payout leads step by step to where it stands.
async fn chains(books: &Books, commissions: &BTreeMap<i64, &'static str>, story: &str) {
    let mut at: BTreeMap<(String, i64), String> = BTreeMap::new();
    let mut deleted = Vec::new();
    for (name, body) in told(books).await {
        let (entity, id) =
            (body["entity_type"].as_str().expect("named"), body["entity_id"].as_i64().expect("numbered"));
        let key = (entity.to_owned(), id);
        match name.as_str() {
            "payout.created" => {
                assert!(at.insert(key, "pending".into()).is_none(), "{story}: {name} {id} twice");
            }
            "commission.updated" | "payout.updated" => {
                let (was, next) = (&body["changes"]["status"][0], &body["changes"]["status"][1]);
                let before = at.insert(key, next.as_str().expect("a status").to_owned());
                assert_eq!(
                    before.as_deref().unwrap_or("pending"),
                    was.as_str().expect("a status"),
                    "{story}: {name} {id}"
                );
                assert_eq!(&body["data"]["status"], next, "{story}: {name} {id}");
            }
            "commission.deleted" => deleted.push(id),
            _ => {}
        }
    }
    for (id, status) in commissions {
        if !deleted.contains(id) {
            let told = at.get(&("commission".to_owned(), *id)).map_or("pending", String::as_str);
            assert_eq!(told, *status, "{story}: commission {id}");
        }
    }
    for payout in books.app.payout_list(books.account, PayoutFilter::default(), 10_000).await.expect("lists") {
        let told = at.get(&("payout".to_owned(), payout.id)).map(String::as_str);
        assert_eq!(told, Some(payout.status.as_str()), "{story}: payout {}", payout.id);
    }
}
