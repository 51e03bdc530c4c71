//! Random lives against a naive model that adds everything up anew after each step.
//!
//! The seed is printed where something differs; `HEADWATER_LEDGER_SEED` runs one again, `HEADWATER_LEDGER_STEPS` sets how
//! long a run is.

use crate::books::{Books, ONE, Posting};
use headwater_app::commission::{CommissionFilter, Verdict};
use headwater_domain::payout::PayoutStatus;
use std::collections::{BTreeMap, BTreeSet};

/// Steps of a run.
const STEPS: u64 = 150;

/// The whole truth: what was posted and what became of it.
#[derive(Debug, Default)]
struct Model {
    commissions: BTreeMap<i64, Life>,
    payouts: BTreeMap<i64, Payout>,
}

#[derive(Debug, Clone)]
struct Life {
    posting: Posting,
    status: &'static str,
    payable_at: i64,
}

#[derive(Debug, Clone)]
struct Payout {
    owner: String,
    unit: &'static str,
    commissions: BTreeSet<i64>,
    status: PayoutStatus,
}

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
    fn one_of<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        (!items.is_empty()).then(|| items[self.below(items.len())].clone())
    }
}

fn owner(posting: &Posting) -> String {
    format!("partner:{}", posting.partner)
}

impl Model {
    fn of_status(&self, status: &str) -> Vec<i64> {
        self.commissions.iter().filter(|(_, life)| life.status == status).map(|(id, _)| *id).collect()
    }

    /// The first commission of the cell that this one is in.
    fn first(&self, id: i64) -> i64 {
        self.commissions[&id].posting.corrects.map_or(id, |corrected| self.first(corrected))
    }

    /// What the payee would owe of the cell of a commission although nothing was posted that says so: what takes back and
    /// was approved, without what earns and was not denied.
    fn debt(&self, id: i64) -> i64 {
        let cell = self.first(id);
        let (mut posted, mut stands) = (0, 0);
        for (_, life) in self.commissions.iter().filter(|(other, _)| self.first(**other) == cell) {
            let amount = life.posting.amount;
            posted += amount;
            let counts =
                if amount > 0 { life.status != "denied" } else { !matches!(life.status, "denied" | "pending") };
            stands += if counts { amount } else { 0 };
        }
        (posted.min(0) - stands).max(0)
    }

    /// Of a cell of which nothing is left that earns, what takes back and waits is denied; but where it takes back more than
    /// was ever there.
    fn deny_what_waits_for(&mut self, id: i64) {
        let cell = self.first(id);
        let of_cell: Vec<i64> = self.commissions.keys().copied().filter(|other| self.first(*other) == cell).collect();
        let lives: Vec<&Life> = of_cell.iter().map(|id| &self.commissions[id]).collect();
        let is_left = lives.iter().any(|life| life.posting.amount > 0 && life.status != "denied");
        if is_left || lives.iter().map(|life| life.posting.amount).sum::<i64>() < 0 {
            return;
        }
        for id in of_cell {
            let life = self.commissions.get_mut(&id).expect("one of them");
            if life.posting.amount < 0 && life.status == "pending" {
                life.status = "denied";
            }
        }
    }

    /// What is due in each (owner, unit): the commissions.
    fn due(&self, now: i64) -> BTreeMap<(String, &'static str), BTreeSet<i64>> {
        let mut due: BTreeMap<_, BTreeSet<i64>> = BTreeMap::new();
        for (id, life) in &self.commissions {
            if life.status == "approved" && life.payable_at <= now {
                due.entry((owner(&life.posting), life.posting.unit)).or_default().insert(*id);
            }
        }
        due
    }

    fn sum(&self, ids: &BTreeSet<i64>) -> i64 {
        ids.iter().map(|id| self.commissions[id].posting.amount).sum()
    }

    /// Every balance that is not nothing.
    fn balances(&self, now: i64) -> BTreeMap<(String, String, String), i64> {
        let mut balances: BTreeMap<(String, String, String), i64> = BTreeMap::new();
        let mut owed: BTreeMap<(String, &str), i64> = BTreeMap::new();
        let mut add = |owner: &str, unit: &str, name: &str, amount: i64| {
            *balances.entry((owner.into(), unit.into(), name.into())).or_default() += amount;
        };
        for life in self.commissions.values() {
            let (owner, unit, amount) = (owner(&life.posting), life.posting.unit, life.posting.amount);
            if life.status == "denied" {
                continue;
            }
            add("program", unit, "expense", -amount);
            match life.status {
                "pending" => add(&owner, unit, "accrued", amount),
                "approved" if life.payable_at > now => add(&owner, unit, "held", amount),
                "approved" | "in_payout" => *owed.entry((owner, unit)).or_default() += amount,
                _ => add(&owner, unit, "paid", amount),
            }
        }
        for ((owner, unit), amount) in owed {
            add(&owner, unit, if amount > 0 { "payable" } else { "receivable" }, amount);
        }
        balances.retain(|_, balance| *balance != 0);
        balances
    }
}

/// Runs one random life and compares after every step.
pub async fn check(books: Books) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    // Another life each run; the process and the moment are random enough to seed one.
    let entropy = u64::from(std::process::id()) ^ u64::from_le_bytes(headwater_app::secrets::random::<8>());
    let seed = number("HEADWATER_LEDGER_SEED").unwrap_or(entropy);
    println!("HEADWATER_LEDGER_SEED={seed}");
    let mut random = Random(seed);
    let mut model = Model::default();
    for step in 0..number("HEADWATER_LEDGER_STEPS").unwrap_or(STEPS) {
        let did = act(&books, &mut model, &mut random).await;
        compare(&books, &model, &format!("seed {seed}, step {step}: {did}")).await;
    }
    books.hold().await;
    let mut paid = BTreeSet::new();
    for (id, payout) in model.payouts.iter().filter(|(_, payout)| payout.status == PayoutStatus::Completed) {
        let story = books.app.payout_read(books.account, *id).await.expect("there");
        assert_eq!(story.payout.amount, model.sum(&payout.commissions), "seed {seed}");
        for commission in story.commissions {
            assert!(paid.insert(commission), "seed {seed}: commission {commission} was paid twice");
        }
    }
}

async fn act(books: &Books, model: &mut Model, random: &mut Random) -> String {
    match random.below(12) {
        0..=2 => post(books, model, random, None).await,
        3 => {
            let all: Vec<i64> = model.commissions.keys().copied().collect();
            let corrected = random.one_of(&all);
            post(books, model, random, corrected).await
        }
        4..=6 => decide(books, model, random).await,
        7 => {
            let seconds = [1, 60, 3600][random.below(3)];
            books.app.clock.advance_seconds(seconds);
            format!("{seconds} seconds pass")
        }
        8..=9 => run(books, model).await,
        _ => finish(books, model, random).await,
    }
}

async fn post(books: &Books, model: &mut Model, random: &mut Random, corrects: Option<i64>) -> String {
    let amount = (i64::try_from(random.below(20_000)).expect("small") + 1) * ONE / 100;
    let mut posting = Posting {
        partner: books.partners[random.below(3)],
        unit: ["USD", "JPY"][random.below(2)],
        amount: if random.below(6) == 0 { -amount } else { amount },
        approved: random.below(3) > 0,
        hold_seconds: [0, 0, 60, 3600][random.below(4)],
        corrects: None,
        customer: None,
    };
    if let Some(id) = corrects {
        let corrected = &model.commissions[&id].posting;
        posting =
            Posting { amount: -corrected.amount, corrects: Some(id), approved: posting.approved, ..corrected.clone() };
    }
    let id = books.post(posting.clone()).await;
    let payable_at = books.app.clock.now().plus_seconds(posting.hold_seconds).0;
    let status = if posting.approved { "approved" } else { "pending" };
    let did = format!("post {id} {posting:?}");
    model.commissions.insert(id, Life { posting, status, payable_at });
    did
}

async fn decide(books: &Books, model: &mut Model, random: &mut Random) -> String {
    let all: Vec<i64> = model.commissions.keys().copied().collect();
    let pending = model.of_status("pending");
    // Mostly those that can be decided, and some that cannot.
    let ids: BTreeSet<i64> = (0..4).filter_map(|turn| random.one_of(if turn < 3 { &pending } else { &all })).collect();
    if ids.is_empty() {
        return "nothing to decide".into();
    }
    let verdict = if random.below(3) == 0 { Verdict::Deny } else { Verdict::Approve };
    let asked: Vec<_> = ids.iter().copied().collect();
    let decided = books.app.commissions_decide(books.account, asked, verdict, "key:1".into()).await.expect("known");
    let status = if verdict == Verdict::Deny { "denied" } else { "approved" };
    let mut done = BTreeSet::new();
    // What takes back goes first where it is denied, and last where it is approved.
    let mut in_order: Vec<i64> = ids.iter().copied().collect();
    in_order.sort_by_key(|id| (model.commissions[id].posting.amount < 0) != (verdict == Verdict::Deny));
    for id in in_order {
        let life = &model.commissions[&id];
        if life.status == status {
            done.insert(id);
            continue;
        }
        let (was, amount) = (life.status, life.posting.amount);
        if was != "pending" {
            continue;
        }
        let debt = model.debt(id);
        model.commissions.get_mut(&id).expect("one of them").status = status;
        let lessens = (amount > 0) == (verdict == Verdict::Deny);
        if lessens && model.debt(id) > debt {
            model.commissions.get_mut(&id).expect("one of them").status = was;
            continue;
        }
        done.insert(id);
        if amount > 0 && verdict == Verdict::Deny {
            model.deny_what_waits_for(id);
        }
    }
    assert_eq!(decided.done.iter().map(|row| row.id).collect::<BTreeSet<_>>(), done, "{verdict:?} {ids:?}");
    format!("{verdict:?} {ids:?}")
}

async fn run(books: &Books, model: &mut Model) -> String {
    let now = books.app.clock.now();
    let run = books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs");
    let mut expected = BTreeMap::new();
    for ((owner, unit), commissions) in model.due(now.0) {
        let sum = model.sum(&commissions);
        if sum > 0 {
            expected.insert((owner, unit), (sum, commissions));
        }
    }
    assert_eq!(run.made.len(), expected.len(), "{run:?}");
    for payout in &run.made {
        let unit = ["USD", "JPY"].into_iter().find(|unit| *unit == payout.unit).expect("one of two");
        let owner = format!("partner:{}", payout.partner_id.expect("a partner is paid"));
        let (sum, commissions) = expected.remove(&(owner.clone(), unit)).expect("expected");
        assert_eq!(payout.amount, sum);
        let story = books.app.payout_read(books.account, payout.id).await.expect("there");
        assert_eq!(story.commissions.iter().copied().collect::<BTreeSet<_>>(), commissions);
        for id in &commissions {
            model.commissions.get_mut(id).expect("due").status = "in_payout";
        }
        model.payouts.insert(payout.id, Payout { owner, unit, commissions, status: PayoutStatus::Pending });
    }
    format!("{} payouts", run.made.len())
}

async fn finish(books: &Books, model: &mut Model, random: &mut Random) -> String {
    let all: Vec<i64> = model.payouts.keys().copied().collect();
    let Some(id) = random.one_of(&all) else { return "no payout to finish".into() };
    let status = [PayoutStatus::Completed, PayoutStatus::Completed, PayoutStatus::Failed, PayoutStatus::Cancelled];
    let status = status[random.below(4)];
    let answer = books.app.payout_finish(books.account, id, status, None, "key:1").await;
    let payout = model.payouts.get_mut(&id).expect("one of them");
    let allowed = payout.status == PayoutStatus::Pending || payout.status == status;
    assert_eq!(answer.is_ok(), allowed, "{id} {status:?} {payout:?}: {answer:?}");
    if payout.status == PayoutStatus::Pending {
        payout.status = status;
        let next = if status == PayoutStatus::Completed { "paid" } else { "approved" };
        for commission in payout.commissions.clone() {
            model.commissions.get_mut(&commission).expect("taken").status = next;
        }
    }
    let payout = &model.payouts[&id];
    format!("{status:?} {id} of {} in {}", payout.owner, payout.unit)
}

async fn compare(books: &Books, model: &Model, story: &str) {
    assert_eq!(books.balances().await, model.balances(books.app.clock.now().0), "{story}");
    let rows = books.app.commission_list(books.account, CommissionFilter::default(), 10_000).await.expect("lists");
    let statuses: BTreeMap<i64, String> = rows.into_iter().map(|row| (row.id, row.status)).collect();
    let expected: BTreeMap<i64, String> =
        model.commissions.iter().map(|(id, life)| (*id, life.status.to_owned())).collect();
    assert_eq!(statuses, expected, "{story}");
}
