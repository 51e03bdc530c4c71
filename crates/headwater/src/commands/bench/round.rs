//! Rounds: ours and its reference take turns, and a round that began on a busy machine does not count.
//!
//! The first round is short and only warms both. What a dropped round acknowledged must be there all the same: the
//! scenarios count that themselves.

use super::load::Tally;
use super::machine::busy_percent;
use super::process::headwater;
use super::request::Order;
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 4;
const WARM_MILLISECONDS: u64 = 500;
/// Busier than this by others' work, and what is measured is theirs too.
const BUSY_PERCENT_MAX: u64 = 15;
/// How long a round waits for the machine to come to rest.
const PATIENCE: Duration = Duration::from_secs(5);

/// One turn of each.
#[derive(Debug)]
pub struct Round {
    /// 0 warms.
    pub number: u64,
    /// How long a turn is.
    pub milliseconds: u64,
    busy_percent: u64,
}

/// All rounds of a scenario.
#[derive(Debug)]
pub struct Rounds {
    seconds: u64,
    next: u64,
    done: Vec<(u64, Tally, Tally)>,
    /// What counts of ours.
    pub ours: Tally,
    /// What counts of the reference.
    pub reference: Tally,
}

impl Rounds {
    /// Rounds that together take so long.
    pub fn new(seconds: u64) -> Self {
        Self { seconds, next: 0, done: Vec::new(), ours: Tally::default(), reference: Tally::default() }
    }

    /// The next one, once the machine is at rest or will not be.
    pub async fn next(&mut self) -> Option<Round> {
        if self.next > ROUNDS {
            self.add_up();
            return None;
        }
        let started = Instant::now();
        let mut busy = busy_percent().await;
        while busy > BUSY_PERCENT_MAX && started.elapsed() < PATIENCE {
            busy = busy_percent().await;
        }
        let number = self.next;
        self.next += 1;
        let milliseconds = if number == 0 { WARM_MILLISECONDS } else { self.seconds * 1000 / ROUNDS };
        Some(Round { number, milliseconds, busy_percent: busy })
    }

    /// Keeps what came of a round.
    pub fn keep(&mut self, round: &Round, ours: Tally, reference: Option<Tally>) {
        if round.number > 0 {
            self.done.push((round.busy_percent, ours, reference.unwrap_or_default()));
        }
    }

    /// Of disturbed rounds alone there is no better choice: then all count, and the note says so.
    fn add_up(&mut self) {
        let all = self.kept() == self.done.len();
        for (busy, ours, reference) in &self.done {
            if all || *busy <= BUSY_PERCENT_MAX {
                self.ours.add(ours);
                self.reference.add(reference);
            }
        }
    }

    fn quiet(&self) -> usize {
        self.done.iter().filter(|(busy, ..)| *busy <= BUSY_PERCENT_MAX).count()
    }

    /// How many count.
    pub fn kept(&self) -> usize {
        match self.quiet() {
            0 => self.done.len(),
            quiet => quiet,
        }
    }

    /// How many do not.
    pub fn dropped(&self) -> usize {
        self.done.len() - self.kept()
    }

    /// How busy the machine was before the worst round.
    pub fn busy_percent_max(&self) -> u64 {
        self.done.iter().map(|(busy, ..)| *busy).max().unwrap_or(0)
    }

    /// What the reader must know.
    pub fn note(&self) -> Option<String> {
        (self.quiet() == 0).then(|| "every round was disturbed by other work on this machine".to_owned())
    }
}

/// Has another process do this order.
pub fn load(order: &Order) -> Result<Tally> {
    let mut command = headwater()?;
    let mut child = command.args(["bench", "load"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("the load takes no order")?;
    input.write_all(serde_json::to_string(order)?.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the load failed");
    serde_json::from_slice(&output.stdout).context("the load gave no tally")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(busy: &[u64]) -> Rounds {
        let mut rounds = Rounds::new(4);
        for (number, busy_percent) in (1..).zip(busy) {
            let tally = Tally { acknowledged: 1, ..Tally::default() };
            rounds.keep(&Round { number, milliseconds: 1000, busy_percent: *busy_percent }, tally.clone(), Some(tally));
        }
        rounds.add_up();
        rounds
    }

    #[test]
    fn disturbed_rounds_are_dropped_unless_there_is_no_other() {
        let some = rounds(&[3, 90, 5, 80]);
        assert_eq!((some.ours.acknowledged, some.kept(), some.dropped()), (2, 2, 2));
        assert!(some.note().is_none());
        let none = rounds(&[90, 80]);
        assert_eq!((none.reference.acknowledged, none.kept(), none.dropped()), (2, 2, 0));
        assert!(none.note().is_some());
    }
}
