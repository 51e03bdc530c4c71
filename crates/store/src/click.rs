//! Click rows: written in batches, listed newest first, counted per link, found by session.
//!
//! They live in `Store::clicks` and are never changed. A list by partner reads the index of each of the partner's
//! links and merges; a list without link or partner walks the primary key, which is the order of time
//! (`docs/adr/0005-click-rows.md`).

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A click to add; `utm` and `params` are JSON, `flags` the bits of `ClickFlags`.
    pub struct NewClick {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", partner_id: Option<i64> = "int8",
        link_id: Option<i64> = "int8", session: String = "text", ip: Option<String> = "text",
        country: Option<String> = "text", region: Option<String> = "text", city: Option<String> = "text",
        device_type: String = "text", browser: Option<String> = "text", os: Option<String> = "text",
        user_agent: Option<String> = "text", referer: Option<String> = "text", utm: String = "text",
        landing_page: Option<String> = "text", lang: Option<String> = "text", params: String = "text",
        reject_reason: Option<String> = "text", flags: i64 = "int8", counts: bool = "bool", clicked_at: i64 = "int8",
    }
}

record! {
    /// A stored click.
    #[derive(PartialEq, Eq)]
    pub struct ClickRow {
        id: i64, program_id: i64, partner_id: Option<i64>, link_id: Option<i64>, session: String, ip: Option<String>,
        country: Option<String>, region: Option<String>, city: Option<String>, device_type: String,
        browser: Option<String>, os: Option<String>, user_agent: Option<String>, referer: Option<String>,
        fingerprint: Option<String>, utm: String, landing_page: Option<String>, lang: Option<String>, params: String,
        reject_reason: Option<String>, flags: i64, clicked_at: i64,
    }
}

record! {
    /// What attribution needs of a click.
    #[derive(Copy, PartialEq, Eq)]
    pub struct ClickTouch { id: i64, link_id: i64, partner_id: i64, clicked_at: i64, flags: i64 }
}

/// What a list may be narrowed by. `from_id` is inclusive, `before_id` exclusive: times become ranges of ids.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the column of its own name, or explained above")]
pub struct ClickFilter {
    pub account_id: i64,
    /// `None`: any program.
    pub programs: Option<Vec<i64>>,
    /// `None`: any click; else the clicks of these links, which may be none.
    pub links: Option<Vec<i64>>,
    pub session: Option<String>,
    pub country: Option<String>,
    pub from_id: i64,
    pub before_id: i64,
}

/// Clicks of a link that counted, in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClickCounts {
    /// Clicks.
    pub clicks: i64,
    /// Distinct sessions among them.
    pub unique_clicks: i64,
}

/// Adds clicks; one that is there already is left as it is, so a batch can be sent again.
pub async fn click_insert(tx: &Tx<'_>, rows: &[NewClick]) -> Result<u64> {
    let statement = batch_sql!(
        NewClick,
        0,
        "INSERT INTO click (id, account_id, program_id, partner_id, link_id, session, ip, country, region, city, device_type, \
         browser, os, user_agent, referer, utm, landing_page, lang, params, reject_reason, flags, counts, clicked_at) \
         SELECT id, account_id, program_id, partner_id, link_id, session, ip, country, region, city, device_type, \
         browser, os, user_agent, referer, utm, landing_page, lang, params, reject_reason, flags, counts, clicked_at \
         FROM {batch} WHERE true ON CONFLICT (id) DO NOTHING"
    );
    tx.batch(statement, &[], rows).await
}

/// At most `limit` clicks, newest first.
pub async fn click_list(tx: &Tx<'_>, filter: &ClickFilter, limit: i64) -> Result<Vec<ClickRow>> {
    let mut rows: Vec<ClickRow> = Vec::new();
    match (&filter.session, &filter.links) {
        (Some(session), links) => {
            let statement = sql!(
                "SELECT id, program_id, partner_id, link_id, session, ip, country, region, city, device_type, browser, os, \
                 user_agent, referer, fingerprint, utm, landing_page, lang, params, reject_reason, flags, clicked_at \
                 FROM click WHERE session = $1 AND account_id = $2 AND id >= $3 AND id < $4 \
                 AND (CAST($5 AS TEXT) IS NULL OR country = $5) ORDER BY id DESC"
            );
            let parameters: [&dyn crate::backend::Parameter; 5] =
                [session, &filter.account_id, &filter.from_id, &filter.before_id, &filter.country];
            let all: Vec<ClickRow> = tx.all(statement, &parameters).await?;
            let of_links = |row: &ClickRow| {
                links.as_ref().is_none_or(|links| row.link_id.is_some_and(|link| links.contains(&link)))
            };
            rows.extend(all.into_iter().filter(|row| of_links(row) && in_programs(filter, row)));
        }
        (None, Some(links)) => {
            let statement = sql!(
                "SELECT id, program_id, partner_id, link_id, session, ip, country, region, city, device_type, browser, os, \
                 user_agent, referer, fingerprint, utm, landing_page, lang, params, reject_reason, flags, clicked_at \
                 FROM click WHERE link_id = $1 AND account_id = $2 AND id >= $3 AND id < $4 \
                 AND (CAST($5 AS TEXT) IS NULL OR country = $5) ORDER BY id DESC LIMIT $6"
            );
            for link in links {
                let parameters: [&dyn crate::backend::Parameter; 6] =
                    [link, &filter.account_id, &filter.from_id, &filter.before_id, &filter.country, &limit];
                let some: Vec<ClickRow> = tx.all(statement, &parameters).await?;
                rows.extend(some.into_iter().filter(|row| in_programs(filter, row)));
            }
            rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.id));
        }
        (None, None) => {
            let statement = sql!(
                "SELECT id, program_id, partner_id, link_id, session, ip, country, region, city, device_type, browser, os, \
                 user_agent, referer, fingerprint, utm, landing_page, lang, params, reject_reason, flags, clicked_at \
                 FROM click WHERE account_id = $1 AND id >= $2 AND id < $3 AND (CAST($4 AS TEXT) IS NULL OR country = $4) \
                 AND (CAST($5 AS TEXT) IS NULL OR CAST($5 AS TEXT) LIKE '%,' || CAST(program_id AS TEXT) || ',%') \
                 ORDER BY id DESC LIMIT $6"
            );
            let programs = filter
                .programs
                .as_ref()
                .map(|list| list.iter().fold(String::from(","), |text, program| format!("{text}{program},")));
            let parameters: [&dyn crate::backend::Parameter; 6] =
                [&filter.account_id, &filter.from_id, &filter.before_id, &filter.country, &programs, &limit];
            rows = tx.all(statement, &parameters).await?;
        }
    }
    rows.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(rows)
}

fn in_programs(filter: &ClickFilter, row: &ClickRow) -> bool {
    filter.programs.as_ref().is_none_or(|programs| programs.contains(&row.program_id))
}

/// Whether the account has this click, in one of these programs; `None`: in any.
pub async fn click_exists(tx: &Tx<'_>, account_id: i64, id: i64, programs: Option<&[i64]>) -> Result<bool> {
    let found: Option<(i64,)> =
        tx.maybe(sql!("SELECT program_id FROM click WHERE id = $1 AND account_id = $2"), &[&id, &account_id]).await?;
    Ok(found.is_some_and(|(program,)| programs.is_none_or(|programs| programs.contains(&program))))
}

/// A click by its number, where it counts.
pub async fn click_touch(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<ClickTouch>> {
    let statement = sql!(
        "SELECT id, link_id, partner_id, clicked_at, flags FROM click WHERE id = $1 AND account_id = $2 AND counts \
         AND link_id IS NOT NULL AND partner_id IS NOT NULL"
    );
    tx.maybe(statement, &[&id, &account_id]).await
}

/// The first or the last click of a session in a program that counts, from `from_id` on.
pub async fn click_of_session(
    tx: &Tx<'_>,
    program_id: i64,
    session: &str,
    from_id: i64,
    first: bool,
) -> Result<Option<ClickTouch>> {
    let statement = if first {
        sql!(
            "SELECT id, link_id, partner_id, clicked_at, flags FROM click WHERE session = $1 AND id >= $2 AND program_id = $3 AND counts \
             AND link_id IS NOT NULL AND partner_id IS NOT NULL ORDER BY id LIMIT 1"
        )
    } else {
        sql!(
            "SELECT id, link_id, partner_id, clicked_at, flags FROM click WHERE session = $1 AND id >= $2 AND program_id = $3 AND counts \
             AND link_id IS NOT NULL AND partner_id IS NOT NULL ORDER BY id DESC LIMIT 1"
        )
    };
    tx.maybe(statement, &[&session, &from_id, &program_id]).await
}

/// What counted for a link, from `from_id` on.
pub async fn click_counts(tx: &Tx<'_>, account_id: i64, link_id: i64, from_id: i64) -> Result<ClickCounts> {
    let statement = sql!(
        "SELECT COUNT(*), COUNT(DISTINCT session) FROM click \
         WHERE link_id = $1 AND id >= $2 AND account_id = $3 AND counts"
    );
    let (clicks, unique_clicks): (i64, i64) = tx.one(statement, &[&link_id, &from_id, &account_id]).await?;
    Ok(ClickCounts { clicks, unique_clicks })
}

/// The greatest click number, or 0.
pub async fn greatest_click_id(tx: &Tx<'_>) -> Result<i64> {
    let (id,): (i64,) = tx.one(sql!("SELECT COALESCE(MAX(id), 0) FROM click"), &[]).await?;
    Ok(id)
}
