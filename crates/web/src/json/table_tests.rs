//! What a field table accepts, and what it says of the rest.

use super::*;

const COLUMNS: &[Column] = &[
    Column { name: "id", kind: Kind::Id, is_required: true },
    Column { name: "currency", kind: Kind::Currency, is_required: true },
    Column { name: "lots", kind: Kind::Number(Bounds { is_signed: false, places: 2 }), is_required: false },
    Column { name: "Value", kind: Kind::DecimalText, is_required: false },
    Column { name: "at", kind: Kind::Moment, is_required: false },
    Column { name: "leverage", kind: Kind::Leverage, is_required: false },
];

fn rules(text: &str) -> Vec<(String, &'static str)> {
    let raw: &RawValue = serde_json::from_str(text).expect("JSON");
    match read(COLUMNS, Spelling::Exact, raw, &Zone::UTC) {
        Ok(_) => Vec::new(),
        Err(refusals) => refusals.into_iter().map(|r| (r.field, r.rule)).collect(),
    }
}

#[test]
fn every_complaint_is_found_at_once() {
    let found = rules(r#"{"id":"","currency":"XXQ","lots":-1,"Value":"1e5","at":"soon","leverage":"high"}"#);
    let expected =
        ["id min_length", "currency iso4217", "lots minimum", "Value decimal", "at date_time", "leverage pattern"];
    assert_eq!(found.iter().map(|(field, rule)| format!("{field} {rule}")).collect::<Vec<_>>(), expected);
    for (text, field, rule) in [
        ("[]", "", "type"),
        (r#"{"currency":"USD"}"#, "id", "required"),
        (r#"{"id":null,"currency":"USD"}"#, "id", "required"),
        (r#"{"id":7,"currency":"USD"}"#, "id", "type"),
        (r#"{"id":"a","currency":"USD","lots":1.001}"#, "lots", "decimal_places"),
        (r#"{"id":"a","currency":"USD","lots":"1"}"#, "lots", "decimal"),
        (r#"{"id":"a","currency":"USD","lots":true}"#, "lots", "type"),
        (r#"{"id":"a","currency":"USD","lots":1234567890123456}"#, "lots", "decimal"),
    ] {
        assert_eq!(rules(text), [(field.to_owned(), rule)], "{text}");
    }
}

#[test]
fn a_row_has_typed_cells_and_what_nobody_knows() {
    let text = r#"{"ID":"a","currency":"usd","lots":null,"value":"12.45","VIP":{"x":[1]},"at":"2025-07-21"}"#;
    let raw: &RawValue = serde_json::from_str(text).expect("JSON");
    let row = read(COLUMNS, Spelling::AnyCase, raw, &Zone::UTC).expect("fine");
    assert_eq!(row.text("id").as_deref(), Some("a"));
    assert_eq!(row.currency("currency").map(|c| c.code().to_owned()).as_deref(), Some("USD"));
    assert_eq!(row.number("Value"), Some(Decimal(12_450_000)));
    assert!(row.is_cleared("lots") && !row.is_cleared("leverage"));
    assert!(matches!(row.moment("at"), Some(Stated::Day(_))));
    assert_eq!(row.others, [("VIP".to_owned(), r#"{"x":[1]}"#)]);
    let twice: &RawValue = serde_json::from_str(r#"{"id":"a","ID":"b","currency":"USD"}"#).expect("JSON");
    assert_eq!(read(COLUMNS, Spelling::AnyCase, twice, &Zone::UTC).expect_err("twice")[0].rule, "duplicate");
}

#[test]
fn the_schema_says_what_the_table_says() {
    let schema = schema("Things", COLUMNS, 1000);
    assert_eq!(schema["items"]["required"], json!(["id", "currency"]));
    assert_eq!(schema["items"]["properties"]["lots"]["anyOf"][0]["minimum"], 0);
    assert_eq!(schema["maxItems"], 1000);
}

/// The same text with each character as an escape.
fn escaped(text: &str) -> String {
    let units: Vec<_> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    units.concat()
}

#[test]
fn a_record_reads_the_same_however_it_is_written() {
    let fields = [("id", "ü-1"), ("currency", "EUR"), ("Value", "12.45"), ("at", "2025-07-21"), ("VIP", "€")];
    let written = |name: fn(&str) -> String, value: fn(&str) -> String, order: &[usize]| {
        let pairs: Vec<_> =
            order.iter().map(|at| format!(r#""{}" : "{}""#, name(fields[*at].0), value(fields[*at].1))).collect();
        format!("{{{}}}", pairs.join(" , "))
    };
    let cells = |text: &str| {
        let raw: &RawValue = serde_json::from_str(text).expect("JSON");
        let row =
            read(COLUMNS, Spelling::Exact, raw, &Zone::UTC).unwrap_or_else(|refused| panic!("{text}: {refused:?}"));
        let cells: Vec<_> = COLUMNS.iter().map(|column| row.cell(column.name).cloned()).collect();
        (cells, row.written("id"), row.attributes())
    };
    let plain = cells(&written(str::to_owned, str::to_owned, &[0, 1, 2, 3, 4]));
    assert_eq!(plain.0[0], Some(Cell::Text("ü-1".to_owned())));
    for text in [
        written(escaped, str::to_owned, &[0, 1, 2, 3, 4]),
        written(str::to_owned, escaped, &[0, 1, 2, 3, 4]),
        written(str::to_owned, str::to_owned, &[4, 3, 2, 1, 0]),
        written(escaped, escaped, &[2, 0, 4, 1, 3]),
    ] {
        assert_eq!(cells(&text), plain, "{text}");
    }
}
