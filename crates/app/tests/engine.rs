//! The engine against a second answer: an independent model of the plan language, and properties that need none.
//!
//! A failure prints the seed and the smallest case that still fails; such a case belongs into the vectors, with figures
//! worked out by hand. `HEADWATER_RANDOM_CASES=10000` makes a long run of it, `HEADWATER_RANDOM_SEED` repeats one.

#[expect(clippy::unwrap_used, reason = "a case that makes no sense stops the model, which is all that is asked of it")]
#[expect(clippy::similar_names, clippy::match_bool, clippy::needless_for_each, reason = "read like the contract")]
mod model;

use headwater_app::cases::{case_postings, run_case};
use headwater_domain::commission::{full_explanation, lint};
use headwater_domain::money::Decimal;
use model::random::Random;
use model::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::catch_unwind;

/// How many cases are drawn, and from which seed on.
fn drawn() -> impl Iterator<Item = u64> {
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let first = read("HEADWATER_RANDOM_SEED").unwrap_or(1);
    let count = read("HEADWATER_RANDOM_CASES").unwrap_or(500);
    println!("seeds from {first}, {count} cases");
    first..first + count
}

/// Whether every plan of the case is one that this version knows whole.
fn is_accepted(case: &Value) -> bool {
    let named = case["plans"].as_object().into_iter().flat_map(|plans| plans.values());
    let later = case["steps"].as_array().expect("steps").iter().filter_map(|step| step.get("plan"));
    named.chain(later).all(|plan| lint(plan).is_ok())
}

/// The case with what the model says of it; `None` where a cut-down case makes no sense any more.
fn filled(case: &Value) -> Option<Value> {
    catch_unwind(|| model::verdict::fill(case, &model::run(case))).ok()
}

/// What the engine has against the figures of the model; `None` where the case makes no sense.
fn objections(case: &Value) -> Option<Vec<String>> {
    let case = filled(case)?;
    Some(
        catch_unwind(|| run_case(&case).err().unwrap_or_default())
            .unwrap_or_else(|_| vec!["the engine stopped".to_owned()]),
    )
}

/// Fails with the smallest case found that still fails.
fn fail_with(seed: u64, case: &Value, fails: &dyn Fn(&Value) -> bool, why: &dyn Fn(&Value) -> String) -> ! {
    std::panic::set_hook(Box::new(|_| {}));
    let smallest = model::shrink::shrink(case, fails);
    drop(std::panic::take_hook());
    let shown = filled(&smallest).unwrap_or(smallest.clone());
    panic!("seed {seed}\n{}\n{}", why(&smallest), serde_json::to_string_pretty(&shown).expect("a document"));
}

fn vectors() -> BTreeMap<String, Value> {
    cases_of("vectors")
}

fn cases_of(folder: &str) -> BTreeMap<String, Value> {
    let folder = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/{}"), folder);
    let paths = std::fs::read_dir(folder).expect("the vectors are there").map(|entry| entry.expect("readable").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).expect("a JSON document"))
    };
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).map(read).collect()
}

/// Corners that the model leaves out: holds that begin in another zone or under another version, windows that begin
/// within a day, a ladder without deposits, a bonus under carry of its own, a person without facts, what has expired.
const LEFT_OUT: [&str; 13] = [
    "a-bonus-under-carry-of-its-own",
    "a-country-alone-is-met-at-the-registration-the-version-of-that-day-pays",
    "a-daily-row-of-new-york-plus-seven-begins-at-17-00-of-the-day-before",
    "a-daily-row-of-the-day-of-the-first-deposit-counts-in-its-window",
    "a-day-in-cairo-that-begins-at-one-oclock",
    "a-row-of-the-31st-in-los-angeles-is-of-january-though-its-day-begins",
    "a-weight-counts-in-every-kind",
    "hold-of-the-version-of-the-fact",
    "hold-over-a-change-of-clocks-counts-24-hours-a-day-from-the-start",
    "in-the-zone-of-the-plan-the-day-of-the-first-deposit-is-another",
    "new-york-plus-seven-around-the-changes-of-clocks-the-row-of-monday",
    "the-day-before-and-after-the-clocks-go-forward-in-athens",
    "the-window-has-expired-the-conditions-say-so",
];

/// Whether the model has a word on the case: it knows only some of the linter's refusals.
fn is_for_the_model(name: &str, case: &Value) -> bool {
    let is_lint = |step: &Value| step.get("lint").is_some();
    !LEFT_OUT.contains(&name) && !case["steps"].as_array().expect("steps").iter().any(is_lint)
}

#[test]
fn the_model_agrees_with_every_vector() {
    let mut failures = Vec::new();
    assert_eq!(vectors().len(), 147, "a case was lost, or is new: raise the number");
    let corners = cases_of("cases").into_iter().filter(|(name, case)| is_for_the_model(name, case));
    for (name, case) in vectors().into_iter().chain(corners) {
        let found = model::verdict::disagreements(&case, &model::run(&case));
        if !found.is_empty() {
            failures.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_model_disagrees_with_wrong_figures() {
    let mut case = vectors().remove("e13-split-a-cent").expect("there");
    case["totals"]["ib"]["USD"] = "0.03".into();
    case["steps"][0]["expect"][1]["amount"] = "0.02".into();
    case["steps"][0]["held"] = serde_json::json!([{ "reason": "no_rate" }]);
    let found = model::verdict::disagreements(&case, &model::run(&case));
    assert_eq!(found.len(), 4, "{found:?}");
}

/// Whether the engine knows the plans and the facts of the case at all; a cut-down case may have lost a partner.
fn is_known(case: &Value) -> bool {
    let is_unsupported = |problems: &Vec<String>| {
        problems.iter().any(|problem| problem.contains("unsupported") || problem.contains("unknown_partner"))
    };
    is_accepted(case) && !run_case(case).is_err_and(|problems| is_unsupported(&problems))
}

#[test]
fn the_engine_and_the_model_agree_on_random_cases() {
    for seed in drawn() {
        let case = model::generate::case(seed);
        assert!(is_known(&case), "seed {seed}: {:?}", run_case(&case));
        hold_agreement(seed, &case);
    }
}

/// Fails where the engine has anything against the model's figures, or the model has none.
fn hold_agreement(seed: u64, case: &Value) {
    let fails = |case: &Value| is_known(case) && objections(case).is_some_and(|found| !found.is_empty());
    let found = objections(case).unwrap_or_else(|| panic!("seed {seed}: the model has no word on it\n{case:#}"));
    if !found.is_empty() {
        fail_with(seed, case, &fails, &|case| objections(case).unwrap_or_default().join("\n"));
    }
}

/// What the model and the engine have against these totals for a case told in another way.
fn objections_to_totals(told: &Value, totals: &Value) -> Option<Vec<String>> {
    let (_, report) = catch_unwind(|| model::end_of(told)).ok()?;
    let mut found = Vec::new();
    let came = model::verdict::totals(&report);
    if came != *totals {
        found.push(format!("the model has {came} instead of {totals}"));
    }
    if is_known(told) {
        let mut told = told.clone();
        told["totals"] = totals.clone();
        found.extend(run_case(&told).err().unwrap_or_default());
    }
    Some(found)
}

/// Holds the totals of every drawn case, and of another way to tell it, against each other.
fn hold_totals(expected: &dyn Fn(&model::Report) -> Value, told: &dyn Fn(&mut Random, &Value, &World) -> Value) {
    for seed in drawn() {
        let objections = |case: &Value| {
            let (world, report) = catch_unwind(|| model::end_of(case)).ok()?;
            let told = told(&mut Random::new(seed), case, &world);
            objections_to_totals(&told, &expected(&report))
        };
        let fails = |case: &Value| objections(case).is_some_and(|found| !found.is_empty());
        let case = model::generate::case(seed);
        let found = objections(&case).unwrap_or_else(|| panic!("seed {seed}: the model has no word on it\n{case:#}"));
        if !found.is_empty() {
            fail_with(seed, &case, &fails, &|case| objections(case).unwrap_or_default().join("\n"));
        }
    }
}

#[test]
fn order_batches_and_repetition_change_no_total() {
    hold_totals(&model::verdict::totals, &model::orders::shuffled);
}

#[test]
fn all_at_once_is_what_one_by_one_was() {
    hold_totals(&model::verdict::totals, &|_, case, world| model::orders::at_once(case, world));
}

#[test]
fn what_is_taken_back_is_zero_to_the_last_unit() {
    hold_totals(&|_| json!({}), &model::orders::taken_back);
}

#[test]
fn shares_add_up_to_what_is_shared() {
    let sums = |case: &Value| {
        let mut sums = BTreeMap::<String, i128>::new();
        for ((_, unit), (minor, _)) in model::end_of(case).1.totals {
            *sums.entry(unit).or_default() += minor;
        }
        sums.retain(|_, minor| *minor != 0);
        sums
    };
    let ways = [
        json!({ "method": "split", "shares": ["33.3", "33.3", "33.4"] }),
        json!({ "method": "share_from_below", "pass_up": ["20", "10"] }),
    ];
    for (seed, way) in drawn().zip(ways.iter().cycle()) {
        let case = model::generate::case(seed);
        let alone = model::orders::shared_by(&case, &Value::Null);
        let shared = model::orders::shared_by(&case, way);
        assert_eq!(sums(&alone), sums(&shared), "seed {seed}, {way}");
        hold_agreement(seed, &shared);
    }
}

#[test]
fn a_split_changes_no_sum() {
    let sums = |case: &Value| {
        let mut sums = BTreeMap::<String, i128>::new();
        for ((_, unit), (minor, _)) in model::end_of(case).1.totals {
            *sums.entry(unit).or_default() += minor;
        }
        sums.retain(|_, minor| *minor != 0);
        sums
    };
    let mut split = 0;
    for seed in drawn() {
        let case = model::orders::never_suspended(&model::generate::case(seed));
        let whole = model::orders::unsplit(&case);
        assert_eq!(sums(&case), sums(&whole), "seed {seed}");
        split += usize::from(model::end_of(&case).1.totals != model::end_of(&whole).1.totals);
    }
    assert!(split > 10, "{split} cases were paid otherwise");
}

/// Postings of random cases that are multiplied out.
const EXPLAINED_POSTINGS: usize = 1000;

#[test]
fn explanations_multiply_out_to_the_cent() {
    let mut explained = 0;
    let mut seen = BTreeMap::<String, usize>::new();
    let seeds = drawn().next().unwrap_or(1);
    for seed in seeds.. {
        let postings = case_postings(&model::generate::case(seed)).expect("a random case opens");
        for posting in &postings {
            let told = &full_explanation(&posting.explanation());
            let found = model::multiplied::objections(told);
            assert!(found.is_empty(), "seed {seed}: {found:#?}\n{told:#}");
            let number = |key: &str| Decimal::parse(told[key].as_str().expect("a number")).expect("a decimal");
            let difference = number("posted_after").checked_sub(number("posted_before"));
            assert_eq!(difference, Some(posting.amount), "seed {seed}: {told:#}");
            for input in told["inputs"].as_array().expect("a list") {
                let tier = input["tier"].as_object().into_iter().flatten();
                let says = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
                let told = input.as_object().expect("an input").iter().filter(|(_, value)| says(value));
                let told = told.map(|(key, _)| key.clone());
                let of_tier = tier.map(|(key, value)| if key == "method" { value.to_string() } else { key.clone() });
                told.chain(of_tier).for_each(|key| *seen.entry(key).or_default() += 1);
            }
            let paths = told["paths"].as_array().expect("a list");
            *seen.entry("paths".to_owned()).or_default() += paths.len();
            *seen.entry("portions".to_owned()).or_default() +=
                paths.iter().filter(|path| path["portions"].is_array()).count();
            *seen.entry("summed_up".to_owned()).or_default() += usize::from(told["summed_up"].is_object());
        }
        explained += postings.len();
        if explained >= EXPLAINED_POSTINGS && seed >= seeds + 300 {
            break;
        }
    }
    println!("{explained} postings, {seen:?}");
    for key in [
        "budget_factor",
        "carry_share",
        "rebate",
        "pass_up",
        "pass_up_amounts",
        "same_rank",
        "paths",
        "portions",
        "split_percent",
        "terms",
        "exchange_rate",
    ] {
        assert!(seen.get(key).is_some_and(|count| *count > 5), "{key} is hardly ever printed: {seen:?}");
    }
}

/// What the last posting of the case says.
fn last_explained(rules: &Value, rates: &Value, facts: &[Value]) -> Value {
    let case = json!({
        "case": "explained",
        "plan": { "name": "p", "currency": "USD", "groups": { "Metals": ["XAUUSD"] }, "rules": rules },
        "partners": [{ "id": "ib" }],
        "customers": [{ "id": "c1", "partner": "ib", "registered_at": "2025-01-01T00:00:00Z" }],
        "exchange_rates": rates,
        "steps": facts.iter().map(|fact| json!({ "fact": fact })).collect::<Vec<_>>(),
    });
    let postings = case_postings(&case).expect("it opens");
    full_explanation(&postings.last().expect("it pays").explanation())
}

#[test]
fn a_cpa_that_is_taken_back_says_what_is_met_no_longer() {
    let qualify = json!({ "min_net_deposit": "100", "min_deposits": 1 });
    let rules = json!([{ "id": "cpa", "kind": "cpa", "amount": "400", "qualify": qualify }]);
    let money = |kind: &str, day: &str, amount: &str| json!({ "type": kind, "key": kind, "customer": "c1", "at": format!("2025-01-{day}T10:00:00Z"), "amount": amount, "currency": "USD" });
    let told = last_explained(&rules, &json!([]), &[money("deposit", "10", "150"), money("withdrawal", "12", "80")]);
    assert_eq!(told["posted_after"], "0", "{told:#}");
    assert_eq!(told["reason"], "no longer met: min_net_deposit (needed 100, now 70, missing 30)");
    let met: Vec<_> = told["conditions"].as_array().expect("a list").iter().map(|state| &state["missing"]).collect();
    assert_eq!(met, [&json!("30"), &Value::Null], "{told:#}");
}

#[test]
fn each_input_shows_its_own_exchange_rate_and_its_terms() {
    let rules = json!([{ "id": "share", "kind": "percent", "percent": "50", "of": ["spread_cost", "-commission"] }]);
    let rate = |from: &str, rate: &str| json!({ "date": "2025-01-10", "from": from, "to": "USD", "rate": rate });
    let day = |currency: &str| {
        json!({ "type": "trading_day", "customer": "c1", "date": "2025-01-10", "instrument": currency, "lots": "1",
            "spread_cost": "12", "commission": "2", "currency": currency })
    };
    let rates = json!([rate("EUR", "1.5"), rate("GBP", "2")]);
    let told = last_explained(&rules, &rates, &[day("EUR"), day("GBP"), day("USD")]);
    let shown = |input: &Value| {
        (input["instrument"].clone(), input["exchange_rate"]["rate"].clone(), input["quantity"].clone())
    };
    let inputs: Vec<_> = told["inputs"].as_array().expect("a list").iter().map(shown).collect();
    let expected = [("EUR", json!("1.5"), "15"), ("GBP", json!("2"), "20"), ("USD", Value::Null, "10")];
    assert_eq!(inputs, expected.map(|(of, rate, quantity)| (json!(of), rate, json!(quantity))), "{told:#}");
    let terms = json!([{ "term": "spread_cost", "value": "12" }, { "term": "-commission", "value": "2" }]);
    assert_eq!(told["inputs"][0]["terms"], terms);
    // Where all have the same, it is stored once and shown with each.
    let told = last_explained(&rules, &rates, &[day("EUR")]);
    assert_eq!(
        (&told["exchange_rate"]["rate"], &told["inputs"][0]["exchange_rate"]["rate"]),
        (&json!("1.5"), &json!("1.5"))
    );
}

#[test]
fn each_input_shows_the_rates_that_lost() {
    let rates = json!([{ "instrument": "EURUSD", "rate": "6" }, { "group": "Metals", "rate": "8" }]);
    let rules = json!([{ "id": "lots", "kind": "per_lot", "rate": "5", "rates": rates }]);
    let day = |instrument: &str| {
        json!({ "type": "trading_day", "customer": "c1", "date": "2025-01-10", "instrument": instrument, "lots": "1",
            "currency": "USD" })
    };
    let told = last_explained(&rules, &json!([]), &[day("XAUUSD"), day("EURUSD"), day("GBPUSD")]);
    let candidate = |from: &str, rate: &str| json!({ "from": from, "rate": rate });
    let (plain, listed) = (candidate("rate", "5"), [candidate("rates[0]", "6"), candidate("rates[1]", "8")]);
    let shown: BTreeMap<String, &Value> = told["inputs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|input| (input["instrument"].to_string(), &input["candidates"]))
        .collect();
    assert_eq!(shown["\"EURUSD\""], &json!([listed[0], plain]), "{told:#}");
    assert_eq!(shown["\"XAUUSD\""], &json!([listed[1], plain]), "{told:#}");
    assert_eq!(shown["\"GBPUSD\""], &json!([plain]), "{told:#}");
    // What is looked up alike is stored once.
    let told = last_explained(&rules, &json!([]), &[day("GBPUSD"), day("USDCHF")]);
    assert_eq!(told["inputs"][0]["candidates"], told["candidates"], "{told:#}");
}

#[test]
fn a_later_step_of_a_ladder_is_explained_by_the_step_before_it() {
    let steps = json!([{ "from": "100", "amount": "10" }, { "from": "200", "amount": "25" }]);
    let rules = json!([{ "id": "ladder", "kind": "cpa_ladder", "of": "net_deposit", "steps": steps }]);
    let deposit = |day: &str| json!({ "type": "deposit", "key": day, "customer": "c1", "at": format!("2025-01-{day}T10:00:00Z"), "amount": "100", "currency": "USD" });
    let told = last_explained(&rules, &json!([]), &[deposit("10"), deposit("12")]);
    let later = told["inputs"].as_array().expect("a list").iter().find(|input| input["direct"] == "15");
    let later = later.expect("the step that was reached later");
    assert_eq!(later["pieces"], json!([{ "quantity": "-1", "rate": "10" }, { "quantity": "1", "rate": "25" }]));
    assert_eq!(later["candidates"][0], json!({ "from": "steps[1]", "rate": "25" }));
    assert_eq!((&told["rate"], &told["exact"]), (&json!("25"), &json!("25")), "{told:#}");
    assert_eq!(model::multiplied::objections(&told), Vec::<String>::new(), "{told:#}");
}

#[test]
fn random_cases_are_about_something() {
    let (mut postings, mut paying, mut reasons) = (0, 0, BTreeMap::<String, usize>::new());
    for seed in 1..=200 {
        let report = model::run(&model::generate::case(seed));
        let count: usize = report.steps.iter().map(|step| step.postings.len()).sum();
        postings += count;
        paying += usize::from(count > 0);
        for reason in report.steps.iter().flat_map(|step| &step.newly_held) {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
    }
    println!("{postings} postings, {paying} of 200 cases pay, held: {reasons:?}");
    assert!(postings > 1000 && paying > 150, "{postings} postings, {paying} cases that pay");
    assert!(reasons.len() >= 12, "{reasons:?}");
}
