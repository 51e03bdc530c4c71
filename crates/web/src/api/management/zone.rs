//! `from`, `to` and `until` are instants, or dates in the zone of the program that is meant (`management.md`).

use crate::problem::ApiError;
use crate::state::WebState;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::time::{Instant, Zone};

/// What moment of a day a date stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Its first: windows are half-open.
    Start,
    /// Its last: "until the 31st" holds that day.
    End,
}

/// The moment, if given. Where no program is meant, the account's first one has the zone.
pub(super) fn moment(
    state: &WebState,
    account: AccountId,
    program: Option<ProgramId>,
    name: &str,
    text: Option<&str>,
    edge: Edge,
) -> Result<Option<Instant>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let directory = state.app.directory();
    let program = program.and_then(|id| directory.program(account, id)).or_else(|| directory.default_program(account));
    let zone = program.and_then(|program| Zone::parse(&program.settings.time_zone)).unwrap_or(Zone::UTC);
    let at = Instant::parse(text).or_else(|| on_day(&zone, text, edge));
    at.map(Some)
        .ok_or_else(|| ApiError::invalid(name, format!("{name} must be a date or an ISO 8601 time with a zone.")))
}

/// Only `YYYY-MM-DD` is a date here.
fn on_day(zone: &Zone, text: &str, edge: Edge) -> Option<Instant> {
    if text.len() != 10 {
        return None;
    }
    let day = text.parse().ok()?;
    Some(match edge {
        Edge::Start => zone.start_of(day),
        Edge::End => Instant(zone.end_of(day).0 - 1),
    })
}
