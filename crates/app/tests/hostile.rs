//! Numbers that somebody sends to break something: every case ends in a refusal, a held fact, or the right sum.
//!
//! The sum is worked out here in plain 128-bit integers, one fact at a time. Leaves ordinary numbers to `engine`.

use headwater_app::cases::{case_postings, run_case};
use headwater_domain::commission::lint;
use headwater_domain::money::Decimal;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Millionths of a decimal that the door lets in: up to 15 digits, below 9 · 10¹². Large ones, small ones, odd ones.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        3 => -999_999_999_999_999_i64..=999_999_999_999_999,
        3 => (-899_999_999_999_999_i64..=899_999_999_999_999).prop_map(|cents| cents * 10_000),
        2 => -10_000_000_000_i64..=10_000_000_000,
        1 => Just(8_999_999_999_999_000_000),
        1 => Just(-8_999_999_999_999_000_000),
        1 => Just(-1_000_000_000_000_000_000),
        1 => Just(1),
        1 => Just(0),
    ]
}

fn text(micros: i64) -> String {
    Decimal(micros).to_string()
}

fn row(customer: &str, day: usize, keys: &Value) -> Value {
    let mut fact = json!({ "type": "trading_day", "customer": customer, "date": format!("2025-01-{:02}", day % 28 + 1),
        "instrument": format!("I{day}"), "currency": "USD", "lots": "1" });
    for (key, value) in keys.as_object().expect("keys") {
        fact[key] = value.clone();
    }
    fact
}

fn case(plan: &Value, facts: &[Value]) -> Value {
    let mut steps: Vec<Value> = facts.iter().map(|fact| json!({ "fact": fact })).collect();
    steps.push(json!({ "close_period": "2025-01" }));
    steps.push(json!({ "close_period": "2025-02" }));
    json!({ "plan": plan, "partners": [{ "id": "top" }, { "id": "mid", "parent": "top", "rates": {} }, { "id": "ib", "parent": "mid" }],
        "customers": [{ "id": "c1", "partner": "ib" }], "steps": steps })
}

/// What all postings add up to, in cents.
fn posted(case: &Value) -> Result<i128, String> {
    Ok(case_postings(case)?.iter().map(|posting| i128::from(posting.amount.0)).sum::<i128>() / 10_000)
}

/// Whether somebody is told: a step is refused, or leaves something held.
fn is_refused_or_held(case: &Value) -> bool {
    let mut case = case.clone();
    for step in case["steps"].as_array_mut().expect("steps") {
        step["held"] = json!([]);
    }
    run_case(&case).is_err()
}

/// Nobody is paid for a fact that is out of range, and nothing else is lost: re-sending everything posts nothing.
fn holds_together(case: &Value) -> Result<(), TestCaseError> {
    let first = case_postings(case);
    prop_assert!(first.is_ok(), "{:?}", first.err());
    let mut again = case.clone();
    let steps = again["steps"].as_array_mut().expect("steps");
    let repeated = steps.clone();
    steps.extend(repeated.into_iter().map(|mut step| {
        if step.get("fact").is_some() {
            step["expect"] = json!([]);
        }
        step
    }));
    // A fact that was refused is refused again; a settled one posts nothing.
    let problems = run_case(&again).err().unwrap_or_default();
    let surprises: Vec<_> = problems.iter().filter(|problem| !problem.contains("refused")).collect();
    prop_assert!(surprises.is_empty(), "{surprises:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// A lot row at a rate is right to the cent, or held: never something between.
    #[test]
    fn lots_at_a_rate_are_right_or_held(lots in number(), rate in number().prop_map(i64::abs)) {
        let plan = json!({ "name": "p", "currency": "USD", "rules": [{ "id": "r", "kind": "per_lot", "rate": text(rate) }] });
        prop_assert!(lint(&plan).is_ok(), "{:?}", lint(&plan));
        let case = case(&plan, &[row("c1", 0, &json!({ "lots": text(lots) }))]);
        holds_together(&case)?;
        // Millionths of lots times millionths of money: a cent is ten thousand millions of them.
        let product = i128::from(lots) * i128::from(rate);
        let cents = (product.abs() + 5_000_000_000) / 10_000_000_000 * product.signum();
        let came = posted(&case).expect("the case opens");
        prop_assert!(came == cents || (came == 0 && is_refused_or_held(&case)), "{came} for {cents}");
    }

    /// Revenue shares of a result that no broker survives; with tiers, rebates, steps, caps, carry and a budget.
    #[test]
    fn nothing_breaks_the_books(
        results in prop::collection::vec((number(), number(), number()), 1..5), percent in 0_i64..=100_000_000,
        cap in number().prop_map(i64::saturating_abs), step in number().prop_map(|step| step.saturating_abs().max(1)), method in 0_usize..6, shape in 0_usize..5,
    ) {
        let tiers = [
            json!({ "method": "override", "levels": ["20", "10"] }), json!({ "method": "split", "shares": ["50", "30", "20"] }),
            json!({ "method": "ratio", "percents": ["50", "30", "20"] }), json!({ "method": "difference" }),
            json!({ "method": "share_from_below", "pass_up": ["33.333333"] }),
            json!({ "method": "share_from_below", "pass_up": ["0.000001", "99.999999"] }),
        ];
        let modifier = [
            json!({}), json!({ "cap": { "per": "period", "amount": text(cap) } }),
            json!({ "carry": { "of": "base", "quarantine": text(-step.saturating_abs()), "max_average_periods": "1.5" } }),
            json!({ "carry": { "of": "commission" }, "cap": { "per": "trade", "amount": text(cap) } }),
            json!({ "brackets": { "metric": "base", "scope": "own", "mode": "marginal",
                "steps": [{ "from": "0", "rate": text(percent) }, { "from": text(step), "rate": "100" }] } }),
        ];
        let mut rule = json!({ "id": "share", "kind": "percent", "percent": text(percent), "of": ["spread_cost", "-pnl", "commission"] });
        for (key, value) in modifier[shape].as_object().expect("keys") {
            rule[key] = value.clone();
        }
        let mut plan = json!({ "name": "p", "currency": "USD", "tiers": tiers[method], "rules": [rule,
            { "id": "more", "kind": "bonus", "percent": "100", "of_rule": "share" },
            { "id": "lots", "kind": "per_lot", "rate": text(cap) }] });
        if shape == 0 {
            plan["budget"] = json!({ "percent_of": ["spread_cost"], "percent": "75", "on_exceed": "scale" });
        }
        prop_assert!(lint(&plan).is_ok(), "{:?}", lint(&plan));
        let fact = |(day, (pnl, spread, commission)): (usize, &(i64, i64, i64))| row("c1", day,
            &json!({ "pnl": text(*pnl), "spread_cost": text(*spread), "commission": text(*commission), "lots": text(*spread) }));
        let facts: Vec<Value> = results.iter().enumerate().map(fact).collect();
        let case = case(&plan, &facts);
        holds_together(&case)?;
        // What is taken back is zero to the last unit, whatever was held.
        let mut taken_back = case.clone();
        let zeros = (0..facts.len()).map(|day| json!({ "fact": row("c1", day,
            &json!({ "pnl": "0", "spread_cost": "0", "commission": "0", "lots": "0" })) }));
        taken_back["steps"].as_array_mut().expect("steps").extend(zeros);
        prop_assert_eq!(posted(&taken_back), Ok(0));
    }

    /// A revenue share of one huge result is exact, or held.
    #[test]
    fn a_share_of_a_result_is_right_or_held(pnl in number(), spread in number(), percent in 0_i64..=100_000_000) {
        let plan = json!({ "name": "p", "currency": "USD", "rules": [
            { "id": "share", "kind": "percent", "percent": text(percent), "of": ["spread_cost", "-pnl"] }] });
        prop_assert!(lint(&plan).is_ok());
        let case = case(&plan, &[row("c1", 0, &json!({ "pnl": text(pnl), "spread_cost": text(spread) }))]);
        holds_together(&case)?;
        // Millionths times millionths of a percent: a cent is a million millions of them.
        let product = (i128::from(spread) - i128::from(pnl)) * i128::from(percent);
        let cents = (product.abs() + 500_000_000_000) / 1_000_000_000_000 * product.signum();
        let came = posted(&case).expect("the case opens");
        prop_assert!(came == cents || (came == 0 && is_refused_or_held(&case)), "{came} for {cents}");
    }
}

#[test]
fn numbers_of_fifteen_digits_are_refused_at_the_door() {
    let plan = json!({ "name": "p", "currency": "USD", "rules": [{ "id": "r", "kind": "per_lot", "rate": "1" }] });
    let huge = row("c1", 0, &json!({ "lots": "999999999999999" }));
    let mut refused = case(&plan, &[huge]);
    refused["steps"][0]["expect_error"] = "unsupported".into();
    assert_eq!(run_case(&refused), Ok(()));
    let plan = json!({ "name": "p", "currency": "USD", "rules": [{ "id": "r", "kind": "per_lot", "rate": "999999999999999" }] });
    assert_eq!(lint(&plan).expect_err("too large")[0].path, "rules[0].rate");
}

#[test]
fn a_fact_that_is_too_large_leaves_the_others_paid() {
    let plan =
        json!({ "name": "p", "currency": "USD", "rules": [{ "id": "r", "kind": "per_lot", "rate": "1000000" }] });
    let mut case = case(&plan, &[row("c1", 0, &json!({ "lots": "2" })), row("c1", 1, &json!({ "lots": "9000000" }))]);
    case["steps"][0]["expect"] = json!([{ "partner": "ib", "rule": "r", "amount": "2000000.00" }]);
    case["steps"][1]["expect"] = json!([]);
    case["steps"][1]["held"] = json!([{ "reason": "not_evaluable" }]);
    assert_eq!(run_case(&case), Ok(()));
}
