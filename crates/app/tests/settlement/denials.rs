//! Denials inside a cell that many sales share: what becomes of one sale is what would become of it in a cell of its own.
//!
//! Random lives are lived twice: by one client who has all the sales, and by one client for each sale. Commissions of the same
//! step are decided alike, and must be answered and stand alike. The seed is printed; `HEADWATER_DENIALS_SEED` lives it again.

use crate::brokers::{account, customer, fact};
use crate::fixture::{Fixture, fixture_with};
use crate::refunds::{refund, sale};
use headwater_app::batch::{BatchAction, BatchRequest};
use headwater_app::commission::{CommissionFilter, CommissionRow};
use headwater_app::history::History;
use headwater_app::ingest::FactRecord;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use std::collections::{BTreeMap, BTreeSet};

on_both_stores! {
    a_sale_among_others_lives_as_one_alone,
    a_sale_among_others_lives_as_one_alone_where_all_are_priced_together,
    a_denied_sale_takes_nothing_from_its_neighbour,
    what_came_at_once_is_taken_back_together,
    what_changes_in_one_request_is_priced_apart_where_something_was_denied,
    a_sale_that_was_denied_and_given_back_in_part_is_owed_for_the_rest,
    nobody_is_paid_more_than_the_facts_say,
    what_comes_again_is_as_denied_as_it_was,
    what_waits_together_is_priced_apart_where_all_are_priced_together,
    a_history_that_was_denied_as_one_takes_nothing_from_others,
    what_waits_to_give_back_is_denied_with_its_sale,
}

const WAITING: &str = r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[
    {"id":"share","kind":"percent","percent":"10","of":["sale"]}]}"#;
const APPROVED: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["sale"]}]}"#;
const STEPPED: &str = r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[{"id":"share","kind":"percent",
    "of":["sale"],"brackets":{"metric":"base","steps":[{"from":"0","rate":"10"}]}}]}"#;
const SALES: usize = 4;
const STEPS: usize = 60;

/// `splitmix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("below a usize")
    }
}

async fn with_customers(store: TestStore, plan: &'static str) -> Fixture {
    let fixture = fixture_with(store, plan).await;
    fixture.push(["all", "c0", "c1", "c2", "c3"].map(|id| account(customer(&fixture, id))).into()).await;
    fixture
}

/// Every commission, the oldest first.
async fn posted(fixture: &Fixture) -> Vec<CommissionRow> {
    let rows = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 1000).await;
    let mut rows = rows.expect("lists");
    rows.reverse();
    rows
}

async fn act(fixture: &Fixture, action: BatchAction, id: i64) -> Vec<String> {
    let request = BatchRequest { action, ids: vec![id], parameters: serde_json::Map::new(), actor: "key:1".into() };
    let answer = fixture.app.batch_start(fixture.account, request).await.expect("answers");
    answer.errors.into_iter().map(|(_, words)| words).collect()
}

/// What a refusal says, without the numbers of commissions.
fn without_numbers(words: &[String]) -> Vec<String> {
    let is_word =
        |word: &&str| !word.trim_matches(|c: char| !c.is_ascii_digit()).parse::<i64>().is_ok_and(|n| n > 1_000_000);
    words.iter().map(|words| words.split(' ').filter(is_word).collect::<Vec<_>>().join(" ")).collect()
}

async fn a_sale_among_others_lives_as_one_alone(store: TestStore) {
    live_twice(store, [WAITING, APPROVED]).await;
}

async fn a_sale_among_others_lives_as_one_alone_where_all_are_priced_together(store: TestStore) {
    live_twice(store, [STEPPED, STEPPED]).await;
}

async fn live_twice(store: TestStore, plans: [&'static str; 2]) {
    let given = std::env::var("HEADWATER_DENIALS_SEED").ok().and_then(|text| text.parse().ok());
    let entropy = u64::from(std::process::id()) ^ u64::from_le_bytes(headwater_app::secrets::random::<8>());
    let seed = given.unwrap_or(entropy);
    println!("HEADWATER_DENIALS_SEED={seed}");
    let mut random = Random(seed);
    let fixture = with_customers(store, plans[random.below(2)]).await;
    // Of each pair the commission of who has all sales, and that of who has this one; of which sale it is.
    let mut pairs: Vec<(i64, i64, usize)> = Vec::new();
    let mut prices = [0; SALES];
    for step in 0..STEPS {
        let place = format!("HEADWATER_DENIALS_SEED={seed}, step {step}");
        let choice = random.below(10);
        if choice < 5 || pairs.is_empty() {
            let number = random.below(SALES);
            let dollars = i64::try_from(random.below(20)).expect("small") * 10;
            let gives_back = prices[number] > 0 && random.below(2) == 0;
            let dollars = if gives_back { dollars.min(prices[number]) } else { dollars };
            prices[number] = if gives_back { prices[number] } else { dollars };
            let record = |customer: &str, prefix: &str| -> FactRecord {
                let sold = format!("{prefix}-{number}");
                if gives_back {
                    refund(customer, &format!("{sold}-back"), &sold, dollars)
                } else {
                    sale(customer, &sold, dollars)
                }
            };
            let mut new = Vec::new();
            for (customer, prefix) in [("all".to_owned(), "among"), (format!("c{number}"), "alone")] {
                let known: BTreeSet<i64> = posted(&fixture).await.iter().map(|row| row.id).collect();
                fixture.push(vec![fact(record(&customer, prefix))]).await;
                new.push(
                    posted(&fixture).await.into_iter().map(|row| row.id).filter(|id| !known.contains(id)).collect(),
                );
            }
            let [among, alone]: [Vec<i64>; 2] = new.try_into().expect("two");
            assert_eq!(among.len(), alone.len(), "{place}");
            pairs.extend(among.into_iter().zip(alone).map(|(among, alone)| (among, alone, number)));
        } else {
            let (among, alone, _) = pairs[random.below(pairs.len())];
            let action = [BatchAction::CommissionApprove, BatchAction::CommissionDeny][usize::from(choice > 7)];
            let answers = [act(&fixture, action, among).await, act(&fixture, action, alone).await];
            let [among, alone] = answers.map(|words| without_numbers(&words));
            assert_eq!(among, alone, "{place}: {action:?}");
        }
        compare(&fixture, &pairs, &place).await;
    }
    fixture.check(&[(Figure::Balance, 0), (Figure::Unbalanced, 0)]).await;
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("recomputes").difference, None);
}

/// Both stand alike, and of no sale more is taken back than stands.
async fn compare(fixture: &Fixture, pairs: &[(i64, i64, usize)], place: &str) {
    let rows: BTreeMap<i64, CommissionRow> = posted(fixture).await.into_iter().map(|row| (row.id, row)).collect();
    let mut stands = [0; SALES];
    for (among, alone, number) in pairs {
        let (among, alone) = (&rows[among], &rows[alone]);
        assert_eq!((among.amount, &among.status), (alone.amount, &alone.status), "{place}: {pairs:?}");
        let is_counted = if among.amount > 0 { among.status != "denied" } else { among.status == "approved" };
        stands[*number] += if is_counted { among.amount } else { 0 };
    }
    assert!(stands.iter().all(|stands| *stands >= 0), "{place}: {stands:?}");
}

async fn check(fixture: &Fixture, expected: &[(i64, &str)]) {
    let rows = posted(fixture).await;
    let came: Vec<_> = rows.iter().map(|row| (row.amount / 1_000_000, row.status.as_str())).collect();
    assert_eq!(came, expected);
    fixture.check(&[(Figure::Balance, 0), (Figure::Unbalanced, 0)]).await;
}

async fn a_denied_sale_takes_nothing_from_its_neighbour(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    for key in ["s1", "s2"] {
        fixture.push(vec![fact(sale("all", key, 100))]).await;
    }
    let rows = posted(&fixture).await;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, rows[0].id).await, [""; 0]);
    fixture.push(vec![fact(refund("all", "r1", "s1", 100))]).await;
    check(&fixture, &[(10, "denied"), (10, "approved"), (-10, "denied")]).await;
    // The other way around: what was given back is not denied after that, its neighbour is.
    fixture.push(vec![fact(sale("all", "s3", 100))]).await;
    fixture.push(vec![fact(refund("all", "r2", "s2", 100))]).await;
    let refused = act(&fixture, BatchAction::CommissionDeny, rows[1].id).await;
    assert!(refused.len() == 1 && refused[0].contains("was taken back by"), "{refused:?}");
    let third = posted(&fixture).await[3].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, third).await, [""; 0]);
    check(&fixture, &[(10, "denied"), (10, "approved"), (-10, "denied"), (10, "denied"), (-10, "approved")]).await;
}

async fn what_came_at_once_is_taken_back_together(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    fixture.push(vec![fact(sale("all", "s1", 100)), fact(sale("all", "s2", 200))]).await;
    fixture.push(vec![fact(sale("all", "s3", 100))]).await;
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    fixture.push(vec![fact(refund("all", "r1", "s1", 100))]).await;
    fixture.push(vec![fact(refund("all", "r3", "s3", 40))]).await;
    fixture.push(vec![fact(refund("all", "r2", "s2", 200))]).await;
    check(&fixture, &[(30, "denied"), (10, "approved"), (-10, "denied"), (-4, "approved"), (-20, "denied")]).await;
}

async fn what_changes_in_one_request_is_priced_apart_where_something_was_denied(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    for key in ["s1", "s2"] {
        fixture.push(vec![fact(sale("all", key, 100))]).await;
    }
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    // Added up they would be a gain of 5, and the refund of what was denied would be hidden in it.
    let batch =
        [sale("all", "s3", 100), refund("all", "r1", "s1", 100), sale("all", "s4", 50), refund("all", "r2", "s2", 30)];
    fixture.push(batch.map(fact).into()).await;
    let expected =
        [(10, "denied"), (10, "approved"), (10, "approved"), (-10, "denied"), (5, "approved"), (-3, "approved")];
    check(&fixture, &expected).await;
}

async fn a_sale_that_was_denied_and_given_back_in_part_is_owed_for_the_rest(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    for key in ["s1", "s2"] {
        fixture.push(vec![fact(sale("all", key, 100))]).await;
    }
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    fixture.push(vec![fact(refund("all", "r1", "s1", 40))]).await;
    check(&fixture, &[(10, "denied"), (10, "approved"), (-4, "denied")]).await;
    assert_eq!(act(&fixture, BatchAction::CommissionApprove, first).await, [""; 0]);
    check(&fixture, &[(10, "approved"), (10, "approved"), (-4, "approved")]).await;
    // What is given back whole stays as it is.
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, posted(&fixture).await[2].id).await, [""; 0]);
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    fixture.push(vec![fact(refund("all", "r1", "s1", 100))]).await;
    let refused = act(&fixture, BatchAction::CommissionApprove, first).await;
    assert!(refused.len() == 1 && refused[0].contains("was taken back while it was denied"), "{refused:?}");
    check(&fixture, &[(10, "denied"), (10, "approved"), (-4, "denied"), (-6, "denied")]).await;
}

/// Sales that approve themselves are denied and approved again, change, are given back and come again.
async fn nobody_is_paid_more_than_the_facts_say(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    let seed = u64::from(std::process::id()) ^ u64::from_le_bytes(headwater_app::secrets::random::<8>());
    println!("HEADWATER_DENIALS_SEED={seed}");
    let mut random = Random(seed);
    let (mut prices, mut backs) = ([0; SALES], [0; SALES]);
    let mut sale_of = BTreeMap::new();
    for step in 0..STEPS {
        let number = random.below(SALES);
        let key = format!("s{number}");
        let dollars = i64::try_from(random.below(20) + 1).expect("small") * 10;
        let rows = posted(&fixture).await;
        match random.below(6) {
            0 | 1 => {
                prices[number] = dollars;
                fixture.push(vec![fact(sale("all", &key, dollars))]).await;
            }
            2 | 3 if prices[number] > 0 => {
                backs[number] = dollars.min(prices[number]);
                fixture.push(vec![fact(refund("all", &format!("{key}-back"), &key, backs[number]))]).await;
            }
            4 => {
                // Nobody gives what was taken back to the partner all the same, nor approves what cannot be told.
                let earns: Vec<i64> = rows.iter().filter(|row| row.amount > 0).map(|row| row.id).collect();
                if !earns.is_empty() {
                    act(&fixture, BatchAction::CommissionDeny, earns[random.below(earns.len())]).await;
                }
            }
            _ => {
                let denied: Vec<i64> = rows.iter().filter(|row| row.status == "denied").map(|row| row.id).collect();
                if !denied.is_empty() {
                    act(&fixture, BatchAction::CommissionApprove, denied[random.below(denied.len())]).await;
                }
            }
        }
        let rows = posted(&fixture).await;
        for row in &rows {
            sale_of.entry(row.id).or_insert(number);
        }
        let mut paid = [0; SALES];
        for row in &rows {
            let is_paid = row.status == "approved" || (row.status == "pending" && row.amount < 0);
            paid[sale_of[&row.id]] += if is_paid { row.amount } else { 0 };
        }
        for number in 0..SALES {
            // A refund that is more than its sale is held.
            let back = if backs[number] <= prices[number] { backs[number] } else { 0 };
            let worth = (prices[number] - back) * 100_000;
            let lives: Vec<_> = rows.iter().filter(|row| sale_of[&row.id] == number).collect();
            assert!(
                paid[number] <= worth,
                "HEADWATER_DENIALS_SEED={seed}, step {step}: sale {number} is worth {worth}: {lives:?}"
            );
        }
    }
}

async fn what_comes_again_is_as_denied_as_it_was(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    fixture.push(vec![fact(sale("all", "s1", 100))]).await;
    fixture.push(vec![fact(sale("all", "s2", 100))]).await;
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    for dollars in [0, 100, 80, 100, 150] {
        fixture.push(vec![fact(sale("all", "s1", dollars))]).await;
    }
    let expected = [(-10, "denied"), (10, "denied"), (-2, "denied"), (2, "denied"), (5, "approved")];
    check(&fixture, &[&[(10, "denied"), (10, "approved")], &expected[..]].concat()).await;
}

async fn what_waits_together_is_priced_apart_where_all_are_priced_together(store: TestStore) {
    let fixture = with_customers(store, STEPPED).await;
    fixture.push(vec![fact(sale("all", "s1", 100))]).await;
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    fixture
        .push(vec![fact(sale("all", "s2", 200)), fact(refund("all", "r1", "s1", 100)), fact(sale("all", "s3", 50))])
        .await;
    check(&fixture, &[(10, "denied"), (20, "pending"), (-10, "denied"), (5, "pending")]).await;
}

/// So many facts at once that it is not kept where their commission comes from.
async fn a_history_that_was_denied_as_one_takes_nothing_from_others(store: TestStore) {
    let fixture = with_customers(store, APPROVED).await;
    let history = (0..1001).map(|number| fact(sale("all", &format!("h{number}"), 10)));
    fixture.push(history.collect()).await;
    fixture.push(vec![fact(sale("all", "s1", 100))]).await;
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    fixture.push(vec![fact(refund("all", "r1", "h7", 10))]).await;
    check(&fixture, &[(1001, "denied"), (10, "approved"), (-1, "pending")]).await;
}

async fn what_waits_to_give_back_is_denied_with_its_sale(store: TestStore) {
    let fixture = with_customers(store, WAITING).await;
    for key in ["s1", "s2"] {
        fixture.push(vec![fact(sale("all", key, 100))]).await;
    }
    fixture.push(vec![fact(refund("all", "r1", "s1", 40))]).await;
    let first = posted(&fixture).await[0].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDeny, first).await, [""; 0]);
    check(&fixture, &[(10, "denied"), (10, "pending"), (-4, "denied")]).await;
    assert_eq!(act(&fixture, BatchAction::CommissionApprove, first).await, [""; 0]);
    check(&fixture, &[(10, "approved"), (10, "pending"), (-4, "approved")]).await;
    // What is deleted leaves nothing behind either.
    fixture.push(vec![fact(refund("all", "r2", "s2", 100))]).await;
    let second = posted(&fixture).await[1].id;
    assert_eq!(act(&fixture, BatchAction::CommissionDestroy, second).await, [""; 0]);
    check(&fixture, &[(10, "approved"), (10, "denied"), (-4, "approved"), (-10, "denied")]).await;
}
