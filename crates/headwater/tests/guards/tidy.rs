//! What every file looks like: it says what it is for, is short, is named after one thing, and hides no loose end.
//!
//! Leaves layout to rustfmt and the language to clippy.

use crate::repository::{self, SourceFile, sample};

const LINES_MAX: usize = 600;
/// Drawers: code without a home is a missing noun.
const DRAWERS: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"];
/// In two halves, so that this file does not complain about itself.
const LOOSE_ENDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

const CODE: &[&str] = &[".rs", ".js", ".mjs", ".sh", ".sql"];
const TEXTS: &[&str] = &[".rs", ".js", ".mjs", ".sh", ".sql", ".md", ".toml", ".html", ".css", "Makefile"];

#[test]
fn every_rust_file_says_what_it_is_for() {
    repository::hold(&repository::files(&[".rs"]), missing_header);
}

#[test]
fn no_file_is_a_book() {
    repository::hold(&repository::files(CODE), too_long);
}

#[test]
fn no_file_is_a_drawer() {
    repository::hold(&repository::files(CODE), drawer_names);
}

#[test]
fn only_tests_unwrap() {
    repository::hold(&repository::files(&[".rs"]), unwraps);
}

#[test]
fn nothing_is_left_for_later() {
    repository::hold(&repository::files(CODE), loose_ends);
}

#[test]
fn no_line_ends_in_space() {
    repository::hold(&repository::files(TEXTS), trailing_spaces);
}

fn missing_header(file: &SourceFile) -> Vec<String> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{}: opens with `//!` and says what it is for, what it leaves to others and what it keeps", file.path)]
}

fn too_long(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines, at most {LINES_MAX}: it does more than one thing", file.path)]
}

fn drawer_names(file: &SourceFile) -> Vec<String> {
    let parts = file.path.split(['/', '.', '_', '-']);
    parts.filter(|part| DRAWERS.contains(part)).map(|part| format!("{}: `{part}` names no thing", file.path)).collect()
}

/// `unwrap` before the tests of a file. They stand at its end, below `#[cfg(test)]`.
fn unwraps(file: &SourceFile) -> Vec<String> {
    let is_test = file.path.contains("/tests/") || file.path.contains("/testkit/") || file.path.ends_with("/tests.rs");
    if is_test {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate().take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//") && line.contains(".unwrap()"))
        .map(|(index, _)| {
            format!("{}:{}: unwrap outside tests; expect(\"why it cannot happen\")", file.path, index + 1)
        })
        .collect()
}

fn loose_ends(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| LOOSE_ENDS.iter().any(|word| line.contains(word)))
        .map(|(index, line)| format!("{}:{}: left for later: {}", file.path, index + 1, line.trim()))
        .collect()
}

fn trailing_spaces(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
        .map(|(index, _)| format!("{}:{}: ends in space", file.path, index + 1))
        .collect()
}

#[test]
fn each_guard_can_fail() {
    let check = |guard: fn(&SourceFile) -> Vec<String>, path: &str, text: &str, expected: usize| {
        let found = guard(&sample(path, text));
        assert_eq!(found.len(), expected, "{path}: {found:?}");
    };
    check(missing_header, "a.rs", "use std::fmt;\n", 1);
    check(missing_header, "a.rs", "", 1);
    check(missing_header, "a.rs", "//! What it is for.\n", 0);
    check(too_long, "a.rs", &"x\n".repeat(LINES_MAX + 1), 1);
    check(too_long, "a.rs", &"x\n".repeat(LINES_MAX), 0);
    check(drawer_names, "crates/web/src/utils.rs", "", 1);
    check(drawer_names, "crates/web/src/misc/link_helpers.rs", "", 2);
    check(drawer_names, "crates/web/src/commons.rs", "", 0);
    check(unwraps, "crates/web/src/link.rs", "let a = b.unwrap();\n", 1);
    check(unwraps, "crates/web/src/link.rs", "// b.unwrap()\n#[cfg(test)]\nb.unwrap()\n", 0);
    check(unwraps, "crates/web/tests/link.rs", "b.unwrap()\n", 0);
    check(loose_ends, "a.rs", concat!("// TO", "DO: later\n"), 1);
    check(loose_ends, "a.rs", "// done\n", 0);
    check(trailing_spaces, "a.rs", "a \nb\n\tc\t\n", 2);
    check(trailing_spaces, "a.md", "a\n\n", 0);
}
