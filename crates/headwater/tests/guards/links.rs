//! Documents that point at each other: every relative link, and every `docs/….md` named in code, leads to a file.
//!
//! Leaves links to the outside alone: a test does not need the network.

use crate::repository::{self, SourceFile, sample};
use std::path::Path;

#[test]
fn every_relative_link_leads_somewhere() {
    let root = repository::root();
    repository::hold(&repository::files(&[".md"]), |file| broken_links(file, &|path| root.join(path).exists()));
}

#[test]
fn documents_named_in_code_exist() {
    let root = repository::root();
    let sources = repository::files(&[".rs", ".sql", ".sh", ".js"]);
    repository::hold(&sources, |file| broken_mentions(file, &|path| root.join(path).exists()));
}

fn broken_links(file: &SourceFile, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    let mut is_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for target in targets(line) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            let is_outside = target.contains("://") || target.starts_with("mailto:");
            if !is_outside && !path.is_empty() && !exists(&folder.join(path)) {
                complaints.push(format!("{}:{}: nothing at {target}", file.path, index + 1));
            }
        }
    }
    complaints
}

/// What the `[text](target)` of a line point at; `code` between backquotes is not looked at.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let after_brackets = prose.split("](").skip(1);
    after_brackets.filter_map(|rest| rest.split([')', ' ']).next()).map(str::to_owned).collect()
}

fn is_markdown(word: &str) -> bool {
    Path::new(word).extension().is_some_and(|ending| ending == "md")
}

fn broken_mentions(file: &SourceFile, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let mut complaints = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let words = line.split(|c: char| !is_part(c)).map(|word| word.trim_matches('.'));
        for word in words.filter(|word| word.starts_with("docs/") && is_markdown(word)) {
            if !exists(Path::new(word)) {
                complaints.push(format!("{}:{}: nothing at {word}", file.path, index + 1));
            }
        }
    }
    complaints
}

#[test]
fn a_broken_link_is_seen() {
    let text = "[a](b.md) [c](https://c.example) [d](#part) `[e](f.md)`\n```\n[g](h.md)\n```\n![i](../i.png#j)\n";
    let file = sample("manual/x.md", text);
    assert_eq!(broken_links(&file, &|_| true).len(), 0);
    let complaints = broken_links(&file, &|path| path == Path::new("manual/b.md"));
    assert_eq!(complaints, ["manual/x.md:5: nothing at ../i.png#j"]);
}

#[test]
fn a_broken_mention_is_seen() {
    let file = sample("a.rs", concat!("//! See `docs", "/gone.md`.\n"));
    assert_eq!(broken_mentions(&file, &|_| false), [concat!("a.rs:1: nothing at docs", "/gone.md")]);
    assert_eq!(broken_mentions(&file, &|_| true).len(), 0);
}
