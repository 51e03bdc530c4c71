//! Fields of the CSV files that are written here and in `web`: a bank's payments, reports.
//!
//! Invariant: a field stays one field, and what a spreadsheet would compute with is text.

/// A field as it stands in a line, quoted where it has to be.
pub fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number(text);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A line of these fields, with its end.
pub fn line<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
    fields.into_iter().map(field).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A number as files have one: digits, perhaps a sign before and decimals behind.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stays_one_field_and_is_no_formula() {
        for (text, expected) in [
            ("North Desk", "North Desk"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=1+1", "'=1+1"),
            ("=1,2", "\"'=1,2\""),
            ("-5", "-5"),
            ("-12.50", "-12.50"),
            ("-1.2.3", "'-1.2.3"),
            ("-x", "'-x"),
            ("-", "'-"),
            ("+5", "'+5"),
            ("@sum", "'@sum"),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn a_line_ends_where_its_fields_do() {
        assert_eq!(line(["a", "b,c"]), "a,\"b,c\"\r\n");
    }
}
