//! What was measured, as a table and as JSON. Ratios are in thousandths: no figure here is a floating-point number.

use super::load::Tally;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// One side of a scenario.
#[derive(Debug)]
pub struct Side {
    name: String,
    per_second: u64,
    p50_micros: u64,
    p99_micros: u64,
    /// Processor time of the answering process for each answer, where it was measured.
    cpu_nanos_per_answer: Option<u64>,
    answers: u64,
    failures: BTreeMap<String, u64>,
}

impl Side {
    /// The figures of a tally.
    pub fn of(name: &str, tally: &Tally) -> Self {
        Self {
            name: name.to_owned(),
            per_second: tally.per_second(),
            p50_micros: tally.latencies.quantile_micros(500),
            p99_micros: tally.latencies.quantile_micros(990),
            cpu_nanos_per_answer: (tally.cpu_micros * 1000).checked_div(tally.acknowledged).filter(|nanos| *nanos > 0),
            answers: tally.acknowledged,
            failures: tally.failures.clone(),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name, "per_second": self.per_second, "p50_micros": self.p50_micros,
            "p99_micros": self.p99_micros, "cpu_nanos_per_answer": self.cpu_nanos_per_answer, "answers": self.answers, "failures": self.failures,
        })
    }
}

/// One scenario. What the operating system does not tell is `None`.
#[derive(Debug)]
pub struct Figures {
    pub scenario: &'static str,
    /// What rows are kept in.
    pub store: &'static str,
    pub connections: usize,
    pub ours: Side,
    pub reference: Option<Side>,
    /// The median of the rounds' ratios.
    pub ratio_thousandths: Option<u64>,
    pub goal_thousandths: Option<u64>,
    /// Answers of all rounds, dropped ones too.
    pub acknowledged: u64,
    /// Rows that are there after a restart.
    pub found: u64,
    pub written_bytes: Option<u64>,
    pub reference_written_bytes: Option<u64>,
    pub resident_idle_bytes: Option<u64>,
    pub resident_bytes: Option<u64>,
    pub rounds: usize,
    pub rounds_dropped: usize,
    /// How busy others kept the machine before the load, and during the worst round.
    pub others_before_percent: u64,
    pub others_percent_max: u64,
    pub notes: Vec<String>,
}

impl Figures {
    /// Whether everything that was acknowledged is there, and nothing was refused.
    pub fn holds(&self) -> bool {
        self.missing() == 0 && self.ours.failures.is_empty() && self.acknowledged > 0
    }

    fn missing(&self) -> u64 {
        self.acknowledged.saturating_sub(self.found)
    }
}

/// One object with every figure.
pub fn to_json(all: &[Figures]) -> Value {
    let scenarios: Vec<_> = all
        .iter()
        .map(|figures| {
            json!({
                "scenario": figures.scenario, "store": figures.store, "connections": figures.connections, "ours": figures.ours.to_json(),
                "reference": figures.reference.as_ref().map(Side::to_json),
                "ratio_thousandths": figures.ratio_thousandths, "goal_thousandths": figures.goal_thousandths,
                "rows": figures.found, "acknowledged": figures.acknowledged, "missing": figures.missing(),
                "bytes_written": figures.written_bytes, "reference_bytes_written": figures.reference_written_bytes,
                "resident_idle_bytes": figures.resident_idle_bytes, "resident_bytes": figures.resident_bytes,
                "rounds": figures.rounds, "rounds_dropped": figures.rounds_dropped,
                "others_before_percent": figures.others_before_percent,
                "others_percent_max": figures.others_percent_max, "notes": figures.notes, "holds": figures.holds(),
            })
        })
        .collect();
    json!({ "version": env!("CARGO_PKG_VERSION"), "holds": all.iter().all(Figures::holds), "scenarios": scenarios })
}

/// Two lines a scenario, and what must be known to read them.
pub fn to_table(all: &[Figures]) -> String {
    let mut text = format!(
        "{:<9}{:<34}{:>9}{:>7}{:>7}{:>10}{:>10}{:>8}{:>11}{:>12}{:>11}\n",
        "scenario", "", "per s", "ratio", "goal", "p50 ms", "p99 ms", "CPU µs", "rows", "written MB", "memory MiB"
    );
    for figures in all {
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), thousandths);
        line(
            &mut text,
            figures.scenario,
            &figures.ours,
            [&shown(figures.ratio_thousandths), &shown(figures.goal_thousandths)],
            &figures.found.to_string(),
            figures.written_bytes,
            figures.resident_bytes,
        );
        if let Some(reference) = &figures.reference {
            line(&mut text, "", reference, ["1", ""], "", figures.reference_written_bytes, None);
        }
    }
    for figures in all {
        let name = figures.scenario;
        let _ = writeln!(
            text,
            "\n{name}: {}; {} acknowledged, {} missing afterwards; {} connections; {} rounds, {} dropped; others used \
             {} % of the machine before, and up to {} % in a round",
            figures.store,
            figures.acknowledged,
            figures.missing(),
            figures.connections,
            figures.rounds,
            figures.rounds_dropped,
            figures.others_before_percent,
            figures.others_percent_max
        );
        if let Some(bytes) = figures.resident_idle_bytes {
            let _ = writeln!(text, "{name}: {} MiB resident before the load", bytes >> 20);
        }
        for side in std::iter::once(&figures.ours).chain(&figures.reference) {
            for (what, count) in &side.failures {
                let _ = writeln!(text, "{name}: {}: {count} times {what}", side.name);
            }
        }
        for note in &figures.notes {
            let _ = writeln!(text, "{name}: {note}");
        }
    }
    text
}

fn line(
    text: &mut String,
    scenario: &str,
    side: &Side,
    [ratio, goal]: [&str; 2],
    rows: &str,
    written: Option<u64>,
    held: Option<u64>,
) {
    let shown = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let _ = writeln!(
        text,
        "{scenario:<9}{:<34}{:>9}{ratio:>7}{goal:>7}{:>10}{:>10}{:>8}{rows:>11}{:>12}{:>11}",
        side.name,
        side.per_second,
        thousandths(side.p50_micros),
        thousandths(side.p99_micros),
        side.cpu_nanos_per_answer.map_or_else(|| "-".to_owned(), thousandths),
        shown(written.map(|bytes| bytes / 1_000_000)),
        shown(held.map(|bytes| bytes >> 20)),
    );
}

/// Thousandths as a decimal with two places, cut off.
fn thousandths(value: u64) -> String {
    format!("{}.{:02}", value / 1000, value % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(found: u64) -> Figures {
        let tally = |acknowledged| Tally { acknowledged, elapsed_micros: 1_000_000, ..Tally::default() };
        Figures {
            scenario: "click",
            store: "SQLite",
            connections: 64,
            ours: Side::of("ours", &tally(600)),
            reference: Some(Side::of("nginx", &tally(1000))),
            ratio_thousandths: Some(600),
            goal_thousandths: Some(700),
            acknowledged: 600,
            found,
            written_bytes: None,
            reference_written_bytes: None,
            resident_idle_bytes: None,
            resident_bytes: Some(64 << 20),
            rounds: 4,
            rounds_dropped: 0,
            others_before_percent: 3,
            others_percent_max: 3,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_lost_row_does_not_hold() {
        assert!(figures(600).holds());
        assert!(!figures(599).holds());
        assert!(to_table(&[figures(599)]).contains("1 missing"));
        assert_eq!(to_json(&[figures(599)])["holds"], false);
    }

    #[test]
    fn a_ratio_is_shown_in_decimals() {
        let table = to_table(&[figures(600)]);
        assert!(table.contains("0.60") && table.contains("0.70"), "{table}");
        let alone = Figures { ratio_thousandths: None, ..figures(600) };
        assert_eq!(to_json(&[alone])["scenarios"][0]["ratio_thousandths"], Value::Null);
    }
}
