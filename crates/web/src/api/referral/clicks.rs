//! `GET /api/referral/clicks`: clicks for attribution audits and fraud work.

use super::caller::Caller;
use crate::asked::Query;
use crate::page::Page;
use crate::problem::ApiError;
use headwater_app::click::ClickRow;
use headwater_app::click::{ClickQuery, Clicks};
use headwater_domain::click::visitor::ClickFlags;
use headwater_domain::ids::{AccountId, ClickId, LinkId, PartnerId};
use headwater_domain::time::{Instant, Zone};
use serde_json::{Value, json};
use std::net::IpAddr;

/// One page of clicks, newest first.
pub async fn list(clicks: &Clicks, caller: &Caller, query: &Query, zone: &Zone) -> Result<Value, ApiError> {
    let page = query.page()?;
    let Some(asked) = from_wire(clicks, caller, query, &page, zone)? else { return Ok(page.to_wire(Vec::new())) };
    let limit = i64::try_from(page.limit).expect("at most a hundred");
    let rows = clicks.list(asked, limit).await.map_err(|error| {
        tracing::error!(%error, "clicks could not be listed");
        ApiError::unavailable()
    })?;
    let rows = rows.ok_or_else(Page::bad_cursor)?;
    Ok(page.to_wire(rows.iter().map(|row| to_wire(clicks, caller, row)).collect()))
}

/// The filters; `None` where one names something that this caller does not have: nothing can match.
fn from_wire(
    clicks: &Clicks,
    caller: &Caller,
    query: &Query,
    page: &Page,
    zone: &Zone,
) -> Result<Option<ClickQuery>, ApiError> {
    let after = page.after_number()?.map(ClickId);
    let country = query.text("country").map(str::to_ascii_uppercase);
    if country.as_ref().is_some_and(|code| code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_uppercase())) {
        return Err(ApiError::invalid("country", "country must be an ISO 3166-1 alpha-2 code, such as DE."));
    }
    let directory = clicks.directory();
    let partner = query.text("partnerId").map(|name| directory.partner_named(caller.account, name).map(|p| p.id));
    let link = query.text("linkId").map(|id| {
        let own = directory.link_named(id).filter(|entry| entry.0 == caller.account);
        own.map(|entry| entry.1.id)
    });
    let (from, to) = (query.instant("from", zone)?, query.instant("to", zone)?);
    if partner == Some(None) || link == Some(None) {
        return Ok(None);
    }
    Ok(Some(ClickQuery {
        account: caller.account,
        programs: caller.programs.clone(),
        partner: partner.flatten(),
        link: link.flatten(),
        session: query.text("sessionId").map(str::to_ascii_lowercase),
        country,
        from,
        to,
        after,
    }))
}

fn to_wire(clicks: &Clicks, caller: &Caller, row: &ClickRow) -> Value {
    let directory = clicks.directory();
    let link = row.link_id.and_then(|id| directory.link(LinkId(id))).map(|entry| entry.1.public_id());
    let object = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "id": row.id,
        "linkId": link,
        "partnerId": row.partner_id.map(|id| partner_name(clicks, caller.account, PartnerId(id))),
        "programId": row.program_id.to_string(),
        "sessionId": row.session,
        "ip": row.ip.as_deref().map(|ip| if caller.reads_personal_data { ip.to_owned() } else { masked(ip) }),
        "country": row.country,
        "region": row.region,
        "city": row.city,
        "deviceType": row.device_type,
        "browser": row.browser,
        "os": row.os,
        "userAgent": row.user_agent,
        "referer": row.referer,
        "fingerprint": row.fingerprint,
        "utm": object(&row.utm),
        "landingPage": row.landing_page,
        "lang": row.lang,
        "params": object(&row.params),
        "timestamp": Instant(row.clicked_at).iso8601(),
        "status": if row.reject_reason.is_some() { "rejected" } else { "accepted" },
        "rejectReason": row.reject_reason,
        "fraudFlags": ClickFlags(row.flags).names().collect::<Vec<_>>(),
    })
}

fn partner_name(clicks: &Clicks, account: AccountId, id: PartnerId) -> String {
    clicks.directory().partner(account, id).map_or_else(|| id.to_string(), |partner| partner.external_id.clone())
}

/// An address without what tells one person from a neighbour: /24, or /48 in version 6.
fn masked(ip: &str) -> String {
    match ip.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0")
        }
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).to_string()
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_to_24_and_48_bits() {
        for (ip, shown) in [("203.0.113.77", "203.0.113.0"), ("2001:db8:1:2::3", "2001:db8:1::"), ("junk", "")] {
            assert_eq!(masked(ip), shown);
        }
    }
}
