//! The files of this repository, as texts. Leaves judging them to the guards.
//!
//! Build output and what a run leaves behind are no part of it.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no source of ours.
const SKIPPED: [&str; 5] = [".git", "target", "node_modules", "headwater-data", "proptest-regressions"];

/// A text file: its path from the root with `/` between the parts, and what it says.
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

/// Where the workspace lies.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies in crates/").to_owned()
}

/// Every file whose name ends in one of `endings`, in the order of its path.
pub fn files(endings: &[&str]) -> Vec<SourceFile> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder was just listed") {
            let path = entry.expect("the entry is readable").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) && !path.is_symlink() {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let path = path.strip_prefix(&root).expect("found below the root").display().to_string();
                found.push(SourceFile { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no file ends in {endings:?}: the guards look at the wrong folder");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Runs a guard over files and fails with everything it has to say.
pub fn hold(files: &[SourceFile], guard: impl Fn(&SourceFile) -> Vec<String>) {
    let complaints: Vec<String> = files.iter().flat_map(guard).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// A made-up file for trying a guard.
pub fn sample(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_walk_finds_this_file_and_no_build_output() {
    let sources = files(&[".rs"]);
    assert!(sources.iter().any(|file| file.path == "crates/headwater/tests/guards/repository.rs"));
    assert!(sources.iter().all(|file| !file.path.starts_with("target/")));
}
