//! What the operating system knows: how busy the machine is, what a process holds and what it has written.
//!
//! Read from `/proc`; where there is none, nothing is known and nothing is claimed.

use std::time::Duration;

/// How long the processors are watched.
const GLANCE: Duration = Duration::from_millis(250);

/// How busy all processors together are just now, in percent; 0 where that is not known.
pub async fn busy_percent() -> u64 {
    let Some((busy_before, all_before)) = ticks() else { return 0 };
    tokio::time::sleep(GLANCE).await;
    let Some((busy, all)) = ticks() else { return 0 };
    ((busy - busy_before) * 100).checked_div(all - all_before).unwrap_or(0)
}

fn ticks() -> Option<(u64, u64)> {
    parse_ticks(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// Ticks of work and of everything: `cpu user nice system idle iowait irq softirq steal …` (proc(5)).
fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = fields.iter().sum();
    Some((all - fields.get(3)? - fields.get(4)?, all))
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
        let stat = "cpu  10 0 20 60 10 0 0 5 0 0\ncpu0 1 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(parse_ticks(stat), Some((35, 105)));
        assert_eq!(parse_ticks("intr 1"), None);
    }
}
