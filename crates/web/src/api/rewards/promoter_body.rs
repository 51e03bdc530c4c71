//! What a caller says of a promoter: email, name, its own id, profile, notes, and how it joins.

use super::problem::RewardsError;
use crate::json::field::{Fields, is_lines};
use headwater_app::app::App;
use headwater_app::membership::MemberState;
use headwater_app::promoter::PromoterRequest;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use serde_json::{Map, Value};

/// Kept as it is said.
const KEPT: [&str; 4] = ["profile", "custom_fields", "note", "drip_emails"];
/// Which of them are emails is for the operation to say.
const EMAIL_CHARACTERS_MAX: usize = 1000;
const BYTES_MAX: usize = 16 * 1024;

/// Reads a body; `null` clears.
pub fn from_wire(fields: &Fields<'_>) -> Result<PromoterRequest, RewardsError> {
    let mut said = Map::new();
    for name in KEPT {
        let Some(raw) = fields.raw(name) else { continue };
        if raw.len() > BYTES_MAX {
            return Err(RewardsError::invalid(name, format!("{name} must have at most {BYTES_MAX} bytes.")));
        }
        let value: Value = serde_json::from_str(raw).unwrap_or_default();
        let kind = match name {
            "profile" | "custom_fields" if !value.is_object() && !value.is_null() => Some("an object"),
            "note" if !value.is_string() && !value.is_null() => Some("a string"),
            "drip_emails" if !value.is_boolean() && !value.is_null() => Some("true or false"),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(RewardsError::invalid(name, format!("{name} must be {kind}.")));
        }
        if value.as_str().is_some_and(|note| !is_lines(note)) {
            let message = format!("{name} must have no control characters but line breaks and tabs.");
            return Err(RewardsError::invalid(name, message));
        }
        let part_of_name = |part: &&str| value.get(*part).is_some_and(|part| !part.is_string() && !part.is_null());
        if let Some(part) = ["first_name", "last_name"].into_iter().find(part_of_name).filter(|_| name == "profile") {
            let field = format!("{name}.{part}");
            return Err(RewardsError::invalid(field.clone(), format!("{field} must be a string.")));
        }
        let is_odd = |part: &&str| value[*part].as_str().is_some_and(|part| part.chars().any(char::is_control));
        if let Some(part) = ["first_name", "last_name"].into_iter().find(is_odd).filter(|_| name == "profile") {
            let field = format!("{name}.{part}");
            return Err(RewardsError::invalid(field.clone(), format!("{field} must have no control characters.")));
        }
        said.insert(name.into(), value);
    }
    let of_profile = |key: &str| said.get("profile").and_then(|profile| profile.get(key)?.as_str()).map(str::trim);
    let parts = [of_profile("first_name"), of_profile("last_name")];
    let whole = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let name = fields.optional_line("name", 500)?.or_else(|| (!whole.is_empty()).then_some(whole));
    let email = fields.optional_line("email", EMAIL_CHARACTERS_MAX)?.map(|email| email.trim().to_lowercase());
    if email.as_deref() == Some("") {
        return Err(RewardsError::invalid("email", "email can not be blank."));
    }
    let cust_id = fields.optional_line("cust_id", 128)?;
    if cust_id.as_deref().is_some_and(|id| id.trim().is_empty()) {
        return Err(RewardsError::invalid("cust_id", "cust_id can not be blank."));
    }
    let parent = fields.optional_integer("parent_promoter_id")?.map(PartnerId);
    let is_cleared = fields.is_null("parent_promoter_id");
    Ok(PromoterRequest {
        email,
        name,
        cust_id,
        parent: if is_cleared { Some(None) } else { parent.map(Some) },
        ref_token: fields.optional_string("ref_token")?,
        said,
    })
}

/// Refuses `null` where there is something that it would take away; what is shown as `null` may be sent back.
pub(super) fn refuse_cleared(fields: &Fields<'_>, name: &str, is_there: bool) -> Result<(), RewardsError> {
    if is_there { Ok(fields.refuse_null(&[name])?) } else { Ok(()) }
}

/// The campaign that a body names.
pub fn program_in(fields: &Fields<'_>, name: &str) -> Result<Option<ProgramId>, RewardsError> {
    Ok(fields.optional_integer(name)?.map(ProgramId))
}

/// How a new promoter joins: `always_approve: false` lets it wait where its campaign does not approve by itself.
pub fn state_asked(
    app: &App,
    account: AccountId,
    program: Option<ProgramId>,
    fields: &Fields<'_>,
) -> Result<Option<MemberState>, RewardsError> {
    if fields.optional_bool("always_approve")?.unwrap_or(true) {
        return Ok(None);
    }
    let found = match program {
        Some(program) => app.campaign_read(account, program).ok(),
        None => app.campaign_list(account).into_iter().next(),
    };
    let approves =
        found.as_ref().and_then(|program| program.settings.campaign.get("auto_approve_promoters")?.as_bool());
    Ok((approves == Some(false)).then_some(MemberState::Pending))
}
