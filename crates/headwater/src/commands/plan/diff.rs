//! `headwater plan diff`: what a plan says differently from another one, path by path and in words.
//!
//! Leaves reading files and whether a plan is one to the file above. Keys that are left out count as what they stand
//! for, numbers as numbers and lists of names as sets: what is printed changes what somebody is paid, or when.

use super::words;
use headwater_domain::money::Decimal;
use serde_json::{Map, Value};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `plan`, or the rule's id.
    pub place: String,
    /// As the linter writes it; of what is gone, the path in the old plan.
    pub path: String,
    /// For people.
    pub text: String,
}

/// Every difference, those of the plan first, then rule by rule in the order of the new plan.
pub fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    let mut walk = Walk { place: "plan".to_owned(), found: &mut found };
    walk.object("", &without(old, "rules"), &without(new, "rules"));
    let (old_rules, new_rules) = (rules(old), rules(new));
    for (index, rule) in new_rules.iter().enumerate() {
        let before = old_rules.iter().find(|known| known["id"] == rule["id"]);
        let mut walk = Walk { place: format!("rule {}", words::shown(&rule["id"])), found: &mut found };
        let path = format!("rules[{index}]");
        match (before.and_then(Value::as_object), rule.as_object()) {
            (Some(before), Some(rule)) => walk.object(&path, before, rule),
            _ => walk.add(path, format!("is new: {}", words::shown(rule))),
        }
    }
    for (index, rule) in old_rules.iter().enumerate() {
        if !new_rules.iter().any(|known| known["id"] == rule["id"]) {
            let mut walk = Walk { place: format!("rule {}", words::shown(&rule["id"])), found: &mut found };
            walk.add(format!("rules[{index}]"), format!("is gone; it was {}", words::shown(rule)));
        }
    }
    found
}

/// The rules; money of the plan's own is left out, as it may be.
fn rules(plan: &Value) -> Vec<Value> {
    let mut rules = plan["rules"].as_array().cloned().unwrap_or_default();
    for keys in rules.iter_mut().filter_map(Value::as_object_mut) {
        if keys.get("unit") == plan.get("currency") {
            keys.remove("unit");
        }
    }
    rules
}

fn without(plan: &Value, key: &str) -> Map<String, Value> {
    let mut keys = plan.as_object().cloned().unwrap_or_default();
    keys.remove(key);
    keys
}

struct Walk<'a> {
    place: String,
    found: &'a mut Vec<Change>,
}

impl Walk<'_> {
    fn add(&mut self, path: String, text: String) {
        self.found.push(Change { place: self.place.clone(), path, text });
    }

    fn object(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let gone = old.keys().filter(|key| !new.contains_key(*key));
        for key in new.keys().chain(gone) {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |keys: &Map<String, Value>| keys.get(key).cloned().or_else(|| words::default(path, key, keys));
            self.value(&at, key, of(old).as_ref(), of(new).as_ref());
        }
    }

    fn value(&mut self, path: &str, key: &str, old: Option<&Value>, new: Option<&Value>) {
        let what = words::noun(key);
        match (old, new) {
            (Some(old), Some(new)) if is_same(old, new) => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => self.object(path, old, new),
            (Some(Value::Array(old)), Some(Value::Array(new))) => self.list(path, key, old, new),
            (Some(old), Some(new)) => self.add(path.to_owned(), format!("{what} {}", moved(old, new))),
            (None, Some(new)) => self.add(path.to_owned(), format!("{what} is new: {}", words::shown(new))),
            (Some(old), None) => self.add(path.to_owned(), format!("{what} is gone; it was {}", words::shown(old))),
            (None, None) => {}
        }
    }

    fn list(&mut self, path: &str, key: &str, old: &[Value], new: &[Value]) {
        if words::is_ordered(key) {
            self.add(path.to_owned(), format!("{} {}", words::noun(key), moved_list(old, new)));
        } else if new.iter().chain(old).any(Value::is_object) {
            self.entries(path, key, old, new);
        } else {
            let names = |list: &[Value]| list.iter().map(words::shown).collect::<Vec<_>>().join(", ");
            let only = |these: &[Value], those: &[Value]| -> Vec<Value> {
                these.iter().filter(|name| !those.contains(name)).cloned().collect()
            };
            let (added, gone) = (only(new, old), only(old, new));
            let told = [("also", &added), ("no longer", &gone)].into_iter().filter(|(_, names)| !names.is_empty());
            let told: Vec<_> = told.map(|(word, list)| format!("{word} {}", names(list))).collect();
            if !told.is_empty() {
                self.add(path.to_owned(), format!("{}: {}", words::noun(key), told.join(", ")));
            }
        }
    }

    /// Entries are the same where they are about the same: a step from the same number, a rate of the same group.
    fn entries(&mut self, path: &str, key: &str, old: &[Value], new: &[Value]) {
        for (index, entry) in new.iter().enumerate() {
            let before = old.iter().find(|known| about(known) == about(entry));
            let at = format!("{path}[{index}]");
            match (before.and_then(Value::as_object), entry.as_object()) {
                (Some(before), Some(entry)) => {
                    let start = self.found.len();
                    self.object(&at, before, entry);
                    for change in &mut self.found[start..] {
                        change.text = format!("{}, {}", about(&Value::Object(entry.clone())), change.text);
                    }
                }
                _ => self.value(&at, key, None, Some(entry)),
            }
        }
        for (index, entry) in old.iter().enumerate() {
            if !new.iter().any(|known| about(known) == about(entry)) {
                self.value(&format!("{path}[{index}]"), key, Some(entry), None);
            }
        }
    }
}

/// What tells the entries of a list apart, in words.
fn about(entry: &Value) -> String {
    let of_key = |key: &str| entry.get(key).map(|value| format!("{} {}", words::plain(key), words::shown(value)));
    let keys = ["from", "instrument", "group", "account_type"].into_iter().filter_map(of_key);
    keys.collect::<Vec<_>>().join(", ")
}

/// Numbers by what they are worth, names of a list in any order.
fn is_same(old: &Value, new: &Value) -> bool {
    match (number(old), number(new)) {
        (Some(old), Some(new)) => old == new,
        _ => old == new,
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::parse(text).ok(),
        Value::Number(number) => Decimal::parse(&number.to_string()).ok(),
        _ => None,
    }
}

fn moved(old: &Value, new: &Value) -> String {
    let word = match (number(old), number(new)) {
        (Some(old), Some(new)) if new > old => "goes up",
        (Some(_), Some(_)) => "goes down",
        _ => "changes",
    };
    format!("{word} from {} to {}", words::shown(old), words::shown(new))
}

fn moved_list(old: &[Value], new: &[Value]) -> String {
    let listed = |list: &[Value]| list.iter().map(words::shown).collect::<Vec<_>>().join(", ");
    format!("changes from {} to {}", listed(old), listed(new))
}
