//! What a brand sends back of a click: `tracking_data`, and whom it leads to (`brand-api.md` §2).
//!
//! A value is looked up whole among those that are registered on links, else its last 40 characters are verified as a
//! click token. The numbers in front of a token are for people and are never trusted. Invariant: a value that leads
//! nowhere is no error; its customer is organic.

use crate::app::App;
use crate::error::Result;
use crate::ingest::Referrer;
use crate::track::{ClickSignal, Signals};
use headwater_domain::click::token::TOKEN_CHARACTERS;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use std::collections::HashMap;

/// The longest value: the published guide.
pub const TRACKING_DATA_CHARACTERS_MAX: usize = 50;
/// Where a link has a value of its own, such as one that a former platform gave out.
const METADATA_KEY: &str = "tracking_data";

/// The values that are registered on the links of a program.
#[derive(Debug, Default)]
pub struct Registered(HashMap<String, PartnerId>);

/// What a landing page gets for a click: program, partner and token, or the token alone where that would be too long or
/// the partner is hidden.
pub fn tracking_data(program: ProgramId, partner: Option<PartnerId>, token: &str) -> String {
    let whole = partner.map(|partner| format!("{program}_{partner}_{token}"));
    whole.filter(|text| text.len() <= TRACKING_DATA_CHARACTERS_MAX).unwrap_or_else(|| token.to_owned())
}

impl App {
    /// The values that are registered in this program; of two links with one value the older counts.
    pub fn registered_tracking(&self, account: AccountId, program: ProgramId) -> Registered {
        let mut registered = HashMap::new();
        // Newest first, so that the oldest is put in last.
        for link in self.directory().links(account) {
            let is_active = link.program_id == program.0 && link.status == "active";
            let metadata: Option<serde_json::Value> =
                if link.metadata.contains(METADATA_KEY) { serde_json::from_str(&link.metadata).ok() } else { None };
            let value = metadata.as_ref().and_then(|metadata| metadata.get(METADATA_KEY)?.as_str());
            if let Some(value) = value.filter(|_| is_active) {
                registered.insert(value.to_owned(), PartnerId(link.partner_id));
            }
        }
        Registered(registered)
    }

    /// Whom a value leads to.
    pub async fn tracked(
        &self,
        account: AccountId,
        program: ProgramId,
        registered: &Registered,
        value: &str,
    ) -> Result<Referrer> {
        if let Some(partner) = registered.0.get(value) {
            return Ok(Referrer::Partner(*partner, None));
        }
        let start = value.len().checked_sub(TOKEN_CHARACTERS);
        let Some(token) = start.and_then(|start| value.get(start..)) else { return Ok(Referrer::Unsaid) };
        let signals = Signals { click: Some(ClickSignal::Token(token.to_owned())), session: None };
        let (touch, _reason) = self.resolve_signals(account, program, &signals, self.clock.now()).await?;
        Ok(touch.map_or(Referrer::Unsaid, Referrer::Touch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_data_never_passes_fifty_characters() {
        let token = "0".repeat(TOKEN_CHARACTERS);
        let of = |program, partner| tracking_data(ProgramId(program), partner, &token);
        assert_eq!(of(2001, Some(PartnerId(104))), format!("2001_104_{token}"));
        assert_eq!(of(2001, Some(PartnerId(1044))), format!("2001_1044_{token}"));
        assert_eq!(of(2001, Some(PartnerId(10_440))), token);
        assert_eq!(of(2001, None), token);
    }
}
