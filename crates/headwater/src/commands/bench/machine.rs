//! What the operating system knows: how busy the machine is and by whom, what a process holds and what it has written.
//!
//! Read from `/proc`; where there is none, nothing is known and nothing is claimed.

use std::time::Duration;

/// How long the processors are watched before a scenario.
const GLANCE: Duration = Duration::from_millis(250);

/// Processes whose work is the bench's own, beside this one and those it has started: nobody is disturbed by himself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// Whether every PostgreSQL on this machine works for the bench.
    pub postgres: bool,
}

/// Processor time so far, in ticks.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    all: u64,
    work: u64,
    own: u64,
}

/// Watches who uses the processors while something runs.
#[derive(Debug)]
pub struct Watch {
    own: Own,
    before: Option<Ticks>,
}

impl Watch {
    /// From now on.
    pub fn start(own: Own) -> Self {
        Self { own, before: ticks(own) }
    }

    /// How much of all processors others have used since, in percent; 0 where that is not known.
    pub fn others_percent(&self) -> u64 {
        self.before.zip(ticks(self.own)).map_or(0, |(before, after)| others_percent(before, after))
    }
}

/// How busy others keep the machine just now, in percent.
pub async fn others_percent_now() -> u64 {
    let watch = Watch::start(Own::default());
    tokio::time::sleep(GLANCE).await;
    watch.others_percent()
}

fn others_percent(before: Ticks, after: Ticks) -> u64 {
    let work = after.work.saturating_sub(before.work);
    let others = work.saturating_sub(after.own.saturating_sub(before.own));
    (others * 100).checked_div(after.all.saturating_sub(before.all)).unwrap_or(0)
}

fn ticks(own: Own) -> Option<Ticks> {
    let (work, all) = parse_ticks(&std::fs::read_to_string("/proc/stat").ok()?)?;
    Some(Ticks { all, work, own: own_ticks(own) })
}

/// Ticks of programs and of everything: `cpu user nice system idle iowait irq softirq steal …` (proc(5)). Interrupts are
/// left out of the work: they serve everybody, and loopback has many.
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let at = |index: usize| fields.get(index).copied();
    Some((at(0)? + at(1)? + at(2)? + at(7)?, fields.iter().sum()))
}

/// One process: its number, its parent's, its name and its ticks, those of its children that have ended among them.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    id: u32,
    parent: u32,
    name: String,
    ticks: u64,
}

/// `pid (comm) state ppid … utime stime cutime cstime …` (proc(5)).
fn parse_process(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { id: id.parse().ok()?, parent: fields.get(1)?.parse().ok()?, name: name.to_owned(), ticks })
}

fn own_ticks(own: Own) -> u64 {
    family_ticks(std::process::id(), own.postgres)
}

/// A process and all that come of it, and where asked every PostgreSQL.
fn family_ticks(ancestor: u32, with_postgres: bool) -> u64 {
    let listed = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let stats = listed.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    let processes: Vec<Process> = stats.filter_map(|stat| parse_process(&stat)).collect();
    let mut ours = vec![ancestor];
    let mut next = 0;
    while let Some(parent) = ours.get(next).copied() {
        ours.extend(processes.iter().filter(|process| process.parent == parent).map(|process| process.id));
        next += 1;
    }
    let is_own = |process: &&Process| ours.contains(&process.id) || (with_postgres && process.name == "postgres");
    processes.iter().filter(is_own).map(|process| process.ticks).sum()
}

/// Processor time that a process and its children have used, in ticks.
pub fn used_ticks(process_id: u32) -> u64 {
    family_ticks(process_id, false)
}

/// What a tick is on every Linux that one meets (`USER_HZ`, proc(5)).
pub const TICK_MICROS: u64 = 10_000;

/// The most memory that a process has held so far.
pub fn peak_resident_bytes(process_id: u32) -> Option<u64> {
    field(process_id, "status", "VmHWM:").map(|kibibytes| kibibytes * 1024)
}

/// Memory that a process holds.
pub fn resident_bytes(process_id: u32) -> Option<u64> {
    field(process_id, "status", "VmRSS:").map(|kibibytes| kibibytes * 1024)
}

/// Bytes that a process has sent to disks.
pub fn written_bytes(process_id: u32) -> Option<u64> {
    field(process_id, "io", "write_bytes:")
}

fn field(process_id: u32, file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process_id}/{file}")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_disk_is_not_work() {
        let stat = "cpu  10 0 20 60 10 3 0 5 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(parse_ticks(stat), Some((35, 108)));
        assert_eq!(parse_ticks("intr 1"), None);
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 3 1 1 0 -1 0 0 0 0 0 10 20 1 2 20 0 1 0\n";
        let process = Process { id: 7, parent: 3, name: "a) b (c".to_owned(), ticks: 33 };
        assert_eq!(parse_process(stat), Some(process));
    }

    #[test]
    fn our_own_work_disturbs_nobody() {
        let before = Ticks { all: 1000, work: 100, own: 50 };
        let after = Ticks { all: 1200, work: 280, own: 200 };
        assert_eq!(others_percent(before, after), 15);
        assert_eq!(others_percent(before, before), 0);
    }
}
