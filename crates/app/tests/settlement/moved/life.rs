//! A life of one referral between two campaigns at random, held against what one would write down by hand: a sale is of the campaign of its
//! time, a refund of its sale's, the third sale of a customer is the third wherever the others were, and nothing is paid twice.
//!
//! The seed is printed; `HEADWATER_MOVES_SEED` runs one again.

use super::{Two, two};
use headwater_app::tracking::{Bought, TrackFailure};
use headwater_domain::ids::CustomerId;
use headwater_domain::time::Instant;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    a_life_between_campaigns_is_paid_as_if_by_hand,
}

/// `splitmix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Each campaign pays a share of each sale, and once 7 or 3 for the third of all sales of a customer.
const OLD_LIFE: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"20","of":["sale"]},
    {"id":"third","kind":"flat","amount":"7","sales":{"conditions":[{"metric":"customer_sales_count","is":"at_least","value":"3"},
    {"metric":"customer_sales_count","is":"less_than","value":"4"}]}}]}"#;
const NEW_LIFE: &str = r#"{"name":"gold","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["sale"]},
    {"id":"third","kind":"flat","amount":"3","sales":{"conditions":[{"metric":"customer_sales_count","is":"at_least","value":"3"},
    {"metric":"customer_sales_count","is":"less_than","value":"4"}]}},
    {"id":"first","kind":"flat","amount":"5","sales":{"max_redemptions":2,"new_customers_only":true}}]}"#;

/// A sale as one would write it down.
struct Noted {
    key: String,
    at: Instant,
    is_new: bool,
    amount: i64,
    left: i64,
}

/// What both campaigns owe, by hand.
fn owed(sales: &[Noted]) -> (i64, i64) {
    let mut standing: Vec<&Noted> = sales.iter().filter(|sale| sale.left > 0).collect();
    standing.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
    let (mut old, mut new) = (0, 0);
    for (place, sale) in standing.iter().enumerate() {
        if sale.is_new {
            new += sale.left / 10 + if place == 2 { 3 } else { 0 } + if place < 2 { 5 } else { 0 };
        } else {
            old += sale.left / 5 + if place == 2 { 7 } else { 0 };
        }
    }
    (old, new)
}

async fn a_life_between_campaigns_is_paid_as_if_by_hand(store: TestStore) {
    let given = std::env::var("HEADWATER_MOVES_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| u64::from_le_bytes(headwater_app::secrets::random::<8>()));
    println!("HEADWATER_MOVES_SEED={seed}");
    let mut random = Random(seed);
    let two = two(store, OLD_LIFE, NEW_LIFE).await;
    let first = two.referral("a").await;
    let (mut is_new, mut moves) = (false, Vec::new());
    let mut sales: Vec<Noted> = Vec::new();
    let began = two.now();
    let mut keys = 0;
    for step in 0..40 {
        two.pass(i64::try_from(random.below(90_000)).expect("small"));
        match random.below(10) {
            0..=3 => {
                keys += 1;
                let amount = 100 * i64::try_from(1 + random.below(3)).expect("small");
                let key = format!("s{keys}");
                let sale = two.sale("a", &key, amount).await;
                sales.push(Noted { key, at: sale.at, is_new, amount, left: amount });
            }
            4 => {
                // One that is told late is of its time.
                keys += 1;
                let span = two.now().0 - began.0;
                let back = i64::try_from(random.below(u64::try_from(span.max(1)).expect("positive"))).expect("small");
                let at = Instant(began.0 + back);
                let was_new = moves.iter().rev().find(|(from, _)| *from <= at).is_some_and(|(_, is_new)| *is_new);
                let (key, amount) = (format!("s{keys}"), 100);
                let late = Bought { at: Some(at), ..Two::bought("a", &key, amount) };
                two.try_sale(late).await.expect("tracks");
                sales.push(Noted { key, at, is_new: was_new, amount, left: amount });
            }
            5 | 6 if !sales.is_empty() => {
                let index = usize::try_from(random.below(sales.len() as u64)).expect("small");
                let back = if random.below(2) == 0 { sales[index].left } else { sales[index].amount / 2 };
                if back > 0 && sales[index].left >= back {
                    keys += 1;
                    let (key, of) = (format!("r{keys}"), sales[index].key.clone());
                    two.refund("a", &key, Some(&of), back).await.expect("tracked");
                    sales[index].left -= back;
                }
            }
            7 if !sales.is_empty() => {
                let index = usize::try_from(random.below(sales.len() as u64)).expect("small");
                let again = two.try_sale(Two::bought("a", &sales[index].key, sales[index].amount)).await;
                assert!(matches!(again, Err(TrackFailure::Repeated)), "seed {seed}: {again:?}");
            }
            8 | 9 => {
                let to = if is_new { &two.old } else { &two.new };
                let id = if random.below(2) == 0 { first } else { current(&two, first).await };
                two.go(id, to).await;
                is_new = !is_new;
                let at = two.now().plus_seconds(-60);
                moves.push((at, is_new));
            }
            _ => {}
        }
        assert_eq!(two.paid().await, owed(&sales), "seed {seed}, step {step}");
        assert!(two.fixture.held().await.is_empty(), "seed {seed}, step {step}: {:?}", two.fixture.held().await);
    }
}

async fn current(two: &Two, first: CustomerId) -> CustomerId {
    two.fixture.app.referral_read(two.fixture.account, first).await.expect("found").id()
}
