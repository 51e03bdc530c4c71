//! Rounds: ours and its reference take turns, and a round that others disturbed does not count.
//!
//! The first round is short and only warms both. The ratio of a scenario is the median of its rounds' ratios, so that
//! one odd round decides nothing. What a dropped round acknowledged must be there all the same: the scenarios count
//! that themselves.

use super::load::Tally;
use super::machine::{TICK_MICROS, used_ticks};
use super::process::headwater;
use super::request::Order;
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::process::Stdio;

const ROUNDS_MAX: u64 = 10;
const WARM_MILLISECONDS: u64 = 500;
/// With more of the processors used by others, what is measured is theirs too.
const OTHERS_PERCENT_MAX: u64 = 15;

/// One turn of each.
#[derive(Debug)]
pub struct Round {
    /// 0 warms.
    pub number: u64,
    /// How long a turn is.
    pub milliseconds: u64,
}

#[derive(Debug)]
struct Done {
    others_percent: u64,
    ours: Tally,
    reference: Tally,
}

/// All rounds of a scenario.
#[derive(Debug)]
pub struct Rounds {
    seconds: u64,
    next: u64,
    done: Vec<Done>,
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

    /// A second each, but not more than ten of them, and two at least.
    fn count(&self) -> u64 {
        self.seconds.clamp(2, ROUNDS_MAX)
    }

    /// The next one; after the last all that count are added up.
    pub fn next(&mut self) -> Option<Round> {
        if self.next > self.count() {
            self.add_up();
            return None;
        }
        let number = self.next;
        self.next += 1;
        let milliseconds = if number == 0 { WARM_MILLISECONDS } else { self.seconds * 1000 / self.count() };
        Some(Round { number, milliseconds })
    }

    /// Keeps what came of a round, during which others used so much of the processors.
    pub fn keep(&mut self, round: &Round, others_percent: u64, ours: Tally, reference: Option<Tally>) {
        if round.number > 0 {
            self.done.push(Done { others_percent, ours, reference: reference.unwrap_or_default() });
        }
    }

    fn is_quiet(done: &Done) -> bool {
        done.others_percent <= OTHERS_PERCENT_MAX
    }

    /// The rounds that count. Of disturbed ones alone there is no better choice: then all count, and the note says so.
    fn counting(&self) -> impl Iterator<Item = &Done> {
        let none_is_quiet = !self.done.iter().any(Self::is_quiet);
        self.done.iter().filter(move |done| none_is_quiet || Self::is_quiet(done))
    }

    fn add_up(&mut self) {
        let (mut ours, mut reference) = (Tally::default(), Tally::default());
        for done in self.counting() {
            ours.add(&done.ours);
            reference.add(&done.reference);
        }
        (self.ours, self.reference) = (ours, reference);
    }

    /// The median of the ratios, in thousandths.
    pub fn ratio_thousandths(&self) -> Option<u64> {
        let ratio = |done: &Done| (done.ours.per_second() * 1000).checked_div(done.reference.per_second());
        median(self.counting().filter_map(ratio).collect())
    }

    /// How many count.
    pub fn kept(&self) -> usize {
        self.counting().count()
    }

    /// How many do not.
    pub fn dropped(&self) -> usize {
        self.done.len() - self.kept()
    }

    /// How busy others kept the machine during the worst round.
    pub fn others_percent_max(&self) -> u64 {
        self.done.iter().map(|done| done.others_percent).max().unwrap_or(0)
    }

    /// What the reader must know.
    pub fn note(&self) -> Option<String> {
        let none_is_quiet = !self.done.iter().any(Self::is_quiet);
        none_is_quiet.then(|| "every round was disturbed by other work on this machine".to_owned())
    }
}

/// The middle one; of two in the middle, what is halfway between them.
pub fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(lower.midpoint(upper))
}

/// Has another process do this order, and counts the processor time of the one that answers.
pub fn load(order: &Order, answering: u32) -> Result<Tally> {
    let before = used_ticks(answering);
    let mut command = headwater()?;
    let mut child = command.args(["bench", "load"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("the load takes no order")?;
    input.write_all(serde_json::to_string(order)?.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "the load failed");
    let mut tally: Tally = serde_json::from_slice(&output.stdout).context("the load gave no tally")?;
    tally.cpu_micros = used_ticks(answering).saturating_sub(before) * TICK_MICROS;
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(acknowledged: u64) -> Tally {
        Tally { acknowledged, elapsed_micros: 1_000_000, ..Tally::default() }
    }

    /// How busy others were, and what ours reached beside a reference of 1000.
    fn rounds(done: &[(u64, u64)]) -> Rounds {
        let mut rounds = Rounds::new(4);
        for (number, (others_percent, ours)) in (1..).zip(done) {
            rounds.keep(&Round { number, milliseconds: 1000 }, *others_percent, tally(*ours), Some(tally(1000)));
        }
        rounds.add_up();
        rounds
    }

    #[test]
    fn disturbed_rounds_are_dropped_unless_there_is_no_other() {
        let some = rounds(&[(3, 1), (90, 1), (5, 1), (80, 1)]);
        assert_eq!((some.ours.acknowledged, some.kept(), some.dropped()), (2, 2, 2));
        assert!(some.note().is_none());
        let none = rounds(&[(90, 1), (80, 1)]);
        assert_eq!((none.reference.acknowledged, none.kept(), none.dropped()), (2000, 2, 0));
        assert!(none.note().is_some());
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_that_count() {
        assert_eq!(rounds(&[(0, 500), (0, 700), (0, 9000)]).ratio_thousandths(), Some(700));
        assert_eq!(rounds(&[(0, 500), (0, 700), (99, 9000)]).ratio_thousandths(), Some(600));
        assert_eq!(rounds(&[]).ratio_thousandths(), None);
    }

    #[test]
    fn rounds_last_as_long_together_as_was_asked() {
        for (seconds, count, milliseconds) in [(1, 2, 500), (8, 8, 1000), (60, 10, 6000)] {
            let mut rounds = Rounds::new(seconds);
            let all: Vec<Round> = std::iter::from_fn(|| rounds.next()).collect();
            assert_eq!(all.len(), count + 1, "and one that warms");
            assert!(all[1..].iter().all(|round| round.milliseconds == milliseconds));
        }
    }
}
