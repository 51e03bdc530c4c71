//! A click, from the query of the public redirect to where the visitor is sent; and reading clicks back.
//!
//! Path of a visit: resolve the link and its partner from memory, decide whether it counts, decide which click stands,
//! queue the row, answer. Nothing on this path waits for the store longer than the recorder's bound, and no visit
//! is refused: what is wrong with it is stored as the reason.

pub mod directory;
pub mod recorder;
mod resolve;

use crate::brand::tracking_data;
use directory::ClickDirectory;
use headwater_domain::click::keys::ClickKeys;
use headwater_domain::click::session::SessionId;
use headwater_domain::click::token::{ClickClaim, Traffic};
use headwater_domain::click::visitor::{ClickFlags, Standing, bounded_params, standing};
use headwater_domain::ids::{AccountId, ClickId, IdSource, LinkId, PartnerId, ProgramId, first_id_at};
use headwater_domain::link::landing::{LandingPage, Site, destination};
use headwater_domain::link::{STATS_WINDOW_DAYS, Utm, parse_lang};
use headwater_domain::time::Instant;
use headwater_store::Store;
use headwater_store::backend::Error;
pub use headwater_store::click::ClickRow;
use headwater_store::click::{
    ClickCounts, ClickFilter, NewClick, click_counts, click_exists, click_list, greatest_click_id,
};
use headwater_store::directory::{Changes, changes_since};
use recorder::ClickRecorder;
pub(crate) use resolve::{REF_TOKEN_PARAMETERS, Resolved};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Sessions whose stamped click is remembered, for visitors that send the session cookie but not the stamp.
const REMEMBERED_SESSIONS: usize = 50_000;
/// Longer texts of a request are cut before they are kept.
const TEXT_CHARACTERS_MAX: usize = 1024;

/// Everything a request says; texts are as the visitor sent them, decoded.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    /// The query of the link, in its order.
    pub query: Vec<(String, String)>,
    /// The host that was asked.
    pub host: Option<String>,
    /// The session of the visitor's cookie.
    pub session: Option<SessionId>,
    /// Stamped clicks of the visitor's cookies: program and token, not verified.
    pub stamps: Vec<(ProgramId, String)>,
    /// What was found odd: bot, prefetch, rate.
    pub flags: ClickFlags,
    /// The visitor's address.
    pub ip: Option<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<String>,
    /// A subdivision.
    pub region: Option<String>,
    /// A city.
    pub city: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `bot`, `other`.
    pub device_type: &'static str,
    /// The browser.
    pub browser: Option<String>,
    /// The system.
    pub os: Option<String>,
    /// As it was sent.
    pub user_agent: Option<String>,
    /// As it was sent.
    pub referer: Option<String>,
}

/// Where a visitor goes, and what the cookies become.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// An absolute URL on a registered site.
    pub location: url::Url,
    /// The session for its cookie.
    pub session: SessionId,
    /// The new stamp, where it changes.
    pub stamp: Option<String>,
    /// Whose stamp it is.
    pub program: ProgramId,
    /// How long the stamp lives.
    pub window_days: i64,
    /// The site for whose domain the cookies are.
    pub site: Site,
}

/// The operations on clicks.
#[derive(Debug)]
pub struct Clicks {
    store: Store,
    keys: ClickKeys,
    directory: RwLock<Arc<ClickDirectory>>,
    seen_version: tokio::sync::Mutex<i64>,
    recorder: ClickRecorder,
    ids: Mutex<IdSource>,
    remembered: quick_cache::sync::Cache<(ProgramId, SessionId), ClickClaim>,
}

impl Clicks {
    /// Loads the directory and starts from the greatest number. `node` makes numbers of this process its own.
    pub async fn open(store: Store, keys: ClickKeys, node: u8, recorder: ClickRecorder) -> Result<Self, Error> {
        let greatest = store.clicks.read(async |tx| greatest_click_id(tx).await).await?;
        let clicks = Self {
            store,
            keys,
            directory: RwLock::default(),
            seen_version: tokio::sync::Mutex::new(0),
            recorder,
            ids: Mutex::new(IdSource::new(node, greatest)),
            remembered: quick_cache::sync::Cache::new(REMEMBERED_SESSIONS),
        };
        clicks.refresh().await?;
        Ok(clicks)
    }

    /// Takes over a committed change. It stands whether it is seen now or a second later.
    pub(crate) async fn refresh_committed(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "a change was committed, and is not in force on this node yet");
        }
    }

    /// Makes numbers as another node from now on.
    pub(crate) fn renumber(&self, node: u8, now: Instant) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let last = ids.next(now);
        *ids = IdSource::new(node, last);
    }

    /// Takes over configuration that changed, here or on another node.
    pub async fn refresh(&self) -> Result<(), Error> {
        let mut seen = self.seen_version.lock().await;
        let since = *seen;
        let changes = self.store.money.read(async move |tx| changes_since(tx, since).await).await?;
        if changes.version != since {
            self.apply(&changes);
            *seen = changes.version;
        }
        Ok(())
    }

    /// Puts changed rows into the directory; clicks in flight keep the one they have.
    pub fn apply(&self, changes: &Changes) {
        let mut held = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = ClickDirectory::clone(&held);
        next.apply(changes, &self.keys);
        *held = Arc::new(next);
    }

    /// Programs, partners and links as they are now.
    pub fn directory(&self) -> Arc<ClickDirectory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The keys of click and partner tokens.
    pub fn keys(&self) -> &ClickKeys {
        &self.keys
    }

    /// The store that clicks and links are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Writes every row that waits; clicks that come later are dropped and counted.
    pub async fn close(&self) {
        self.recorder.close().await;
    }

    /// Takes one visit; `None` where there is no program at all to send a visitor to.
    ///
    /// `random` is for a new session.
    pub async fn visit(&self, visit: &Visit, random: [u8; 16], now: Instant) -> Option<Redirect> {
        let mut resolved = resolve::resolve(&self.directory(), &self.keys, visit, now)?;
        if resolved.needs_default_link {
            // Once in the life of a partner in a program; where the store is away, the click is kept without a link.
            let wait = std::time::Duration::from_millis(recorder::WAIT_MILLIS_MAX);
            match tokio::time::timeout(wait, crate::link::ensure_default(self, &resolved, now)).await {
                Ok(Ok(())) => resolved = resolve::resolve(&self.directory(), &self.keys, visit, now)?,
                Ok(Err(error)) => tracing::warn!(%error, "a partner's default link could not be made"),
                Err(_) => tracing::warn!("a partner's default link was not made in time"),
            }
        }
        Some(self.redirect(visit, &resolved, SessionId::new(now, random), now).await)
    }

    async fn redirect(&self, visit: &Visit, resolved: &Resolved, fresh: SessionId, now: Instant) -> Redirect {
        let program = &resolved.program;
        let click = ClickId(self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(now));
        let session = visit.session.unwrap_or(fresh);
        let (landing_page, bad_landing) = landing_page(visit, resolved);
        let (utm, lang, params, cut) = labels(visit, resolved);
        let traffic = resolved.traffic;
        let flags = visit.flags.with_if(bad_landing, ClickFlags::BAD_LANDING_PAGE).with_if(cut, ClickFlags::PARAMS_CUT);
        let flags = flags.with_if(traffic == Traffic::Advertised, ClickFlags::ADVERTISEMENT);
        let counts = resolved.reject.is_none() && resolved.link.is_some() && flags.is_visit();
        let link = resolved.link.as_ref().map(|entry| &entry.1);

        let mint = |click, link, at, traffic| self.keys.mint(program.account, click, link, at, traffic);
        let own_token = mint(click, link.filter(|_| counts).map(|l| l.id), now, traffic);
        let stamped = self.stamped(visit, resolved, session);
        let decided = standing(program.settings.attribution, program.settings.window_days, stamped, counts, now);
        let token = match decided {
            Standing::Stamped(claim) => mint(claim.click, Some(claim.link), claim.at(), claim.traffic),
            Standing::New | Standing::NewWithoutStamp => own_token,
        };
        if let (Standing::New, Some(link)) = (decided, link)
            && let Ok(at_second) = u32::try_from(now.seconds())
        {
            self.remembered.insert((program.id, session), ClickClaim { click, link: link.id, at_second, traffic });
        }

        let session_text = session.to_string();
        let program_text = program.id.to_string();
        let utm_names: Vec<(String, String)> =
            utm.pairs().map(|(key, value)| (format!("utm_{key}"), value.to_owned())).collect();
        let mut added: Vec<(&str, &str)> = utm_names.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        added.push(("clickId", &token));
        added.push(("sessionId", &session_text));
        added.push(("click-id", &token));
        let partner_shown = self.partner_shown(resolved, decided);
        if let Some(partner) = &partner_shown {
            added.push(("partner-id", partner));
        }
        added.push(("program-id", &program_text));
        let is_shown = resolved.reject.is_none() && link.is_none_or(|link| link.formx.is_none());
        let for_brand = self
            .directory()
            .has_brand(program.id)
            .then(|| tracking_data(program.id, resolved.partner.filter(|_| is_shown), &token));
        added.extend(for_brand.as_deref().map(|value| ("tracking_data", value)));
        let routing = link.is_some_and(|link| link.region_routing);
        let regions = &program.settings.regional_domains;
        let location = destination(&program.site, regions, routing, visit.country.as_deref(), &landing_page, &added);

        let row = NewClick {
            id: click.0,
            account_id: program.account.0,
            program_id: program.id.0,
            partner_id: resolved.partner.map(|p| p.0),
            link_id: link.map(|l| l.id.0),
            session: session_text,
            ip: visit.ip.clone(),
            country: visit.country.clone(),
            region: visit.region.clone(),
            city: visit.city.clone(),
            device_type: visit.device_type.to_owned(),
            browser: visit.browser.clone(),
            os: visit.os.clone(),
            user_agent: visit.user_agent.as_deref().map(kept_text),
            referer: visit.referer.as_deref().map(kept_text),
            utm: json_of(utm.pairs()),
            landing_page: Some(landing_page.as_str().to_owned()),
            lang,
            params: json_of(params.iter().map(|(n, v)| (n.as_str(), v.as_str()))),
            reject_reason: resolved.reject.map(|reason| reason.name().to_owned()),
            flags: flags.0,
            counts,
            clicked_at: now.0,
        };
        let stamp = (decided == Standing::New).then_some(token);
        self.recorder.record(row).await;
        Redirect {
            location,
            session,
            stamp,
            program: program.id,
            window_days: program.settings.window_days,
            site: program.site.clone(),
        }
    }

    /// How the landing URL names the partner of the click that it carries: the token where the partner is hidden.
    fn partner_shown(&self, resolved: &Resolved, decided: Standing) -> Option<String> {
        match decided {
            Standing::Stamped(claim) => {
                let directory = self.directory();
                let (account, link) = &**directory.link(claim.link)?;
                let name = || Some(directory.partner(*account, link.partner)?.external_id.clone());
                link.formx.clone().or_else(name)
            }
            Standing::New | Standing::NewWithoutStamp => {
                resolved.partner_shown.clone().filter(|_| resolved.reject.is_none())
            }
        }
    }

    /// The click that the visitor's cookie has for this program, else the one we remember of the session.
    fn stamped(&self, visit: &Visit, resolved: &Resolved, session: SessionId) -> Option<ClickClaim> {
        let program = &resolved.program;
        let own = visit.stamps.iter().filter(|(number, _)| *number == program.id);
        let mut genuine = own.filter_map(|(_, token)| self.keys.read(token, program.account).ok());
        genuine.next().or_else(|| visit.session.and_then(|_| self.remembered.get(&(program.id, session))))
    }

    /// At most `limit + 1` clicks, newest first, after the click `after`; `None` where that click is not the account's.
    pub async fn list(&self, asked: ClickQuery, limit: i64) -> Result<Option<Vec<ClickRow>>, Error> {
        let directory = self.directory();
        let links = match (asked.link, asked.partner) {
            (Some(link), Some(partner)) => {
                let fits = directory.link(link).is_some_and(|e| e.0 == asked.account && e.1.partner == partner);
                Some(if fits { vec![link.0] } else { Vec::new() })
            }
            (Some(link), None) => Some(vec![link.0]),
            (None, Some(partner)) => {
                Some(directory.links_before(asked.account, Some(partner), None).map(|link| link.id.0).collect())
            }
            (None, None) => None,
        };
        let from_id = asked.from.map_or(0, first_id_at);
        let until_id = asked.to.map_or(i64::MAX, first_id_at);
        let filter = ClickFilter {
            account_id: asked.account.0,
            programs: asked.programs.map(|programs| programs.into_iter().map(|p| p.0).collect()),
            links,
            session: asked.session,
            country: asked.country,
            from_id,
            before_id: asked.after.map_or(until_id, |after| until_id.min(after.0)),
        };
        let after = asked.after;
        let read = async move |tx: &headwater_store::backend::Tx<'_>| {
            if let Some(after) = after
                && !click_exists(tx, filter.account_id, after.0, filter.programs.as_deref()).await?
            {
                return Ok(None);
            }
            click_list(tx, &filter, limit + 1).await.map(Some)
        };
        self.store.clicks.read(read).await
    }

    /// What counted for a link in the last 30 days.
    pub async fn counts(&self, account: AccountId, link: LinkId, now: Instant) -> Result<ClickCounts, Error> {
        let from_id = first_id_at(now.plus_seconds(-i64::from(STATS_WINDOW_DAYS) * 86_400));
        self.store.clicks.read(async move |tx| click_counts(tx, account.0, link.0, from_id).await).await
    }
}

/// What a list of clicks is narrowed by.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the filter of its own name")]
pub struct ClickQuery {
    pub account: AccountId,
    /// What the key may see; `None`: all.
    pub programs: Option<Vec<ProgramId>>,
    pub partner: Option<PartnerId>,
    pub link: Option<LinkId>,
    pub session: Option<String>,
    pub country: Option<String>,
    pub from: Option<Instant>,
    pub to: Option<Instant>,
    pub after: Option<ClickId>,
}

/// Where the visitor lands, and whether the click's own page was refused.
fn landing_page(visit: &Visit, resolved: &Resolved) -> (LandingPage, bool) {
    let program = &resolved.program;
    if resolved.reject.is_some_and(|reason| !reason.keeps_landing_page()) {
        return (program.default_landing_page.clone(), false);
    }
    match visit.query.iter().find(|(name, _)| name == "landingpage") {
        Some((_, text)) => match LandingPage::parse(text, &program.site) {
            Ok(page) => (page, false),
            Err(_) => (program.default_landing_page.clone(), true),
        },
        None => match &resolved.link {
            Some(entry) => (entry.1.landing_page.clone(), false),
            None => (program.default_landing_page.clone(), false),
        },
    }
}

type Labels = (Utm, Option<String>, Vec<(String, String)>, bool);

/// UTM values, language and the other parameters of a click; whether some of the others were dropped.
fn labels(visit: &Visit, resolved: &Resolved) -> Labels {
    let mut utm = Utm::default();
    let mut lang = None;
    let mut others = Vec::new();
    for (name, value) in &visit.query {
        let is_utm = name.strip_prefix("utm_").is_some_and(|key| utm.accept(key, value));
        match name.as_str() {
            _ if is_utm => {}
            "Formx" | "ref" | "affid" | "landingpage" | "lid" => {}
            "lang" => lang = lang.or_else(|| parse_lang(value).ok()),
            "campaign" if resolved.program.id.to_string() == *value => {}
            "campaign" if utm.campaign.is_none() => drop(utm.accept("campaign", value)),
            _ => others.push((name.as_str(), value.as_str())),
        }
    }
    let (kept, cut) = bounded_params(others);
    let params = kept.into_iter().map(|(name, value)| (without_nul(name), without_nul(value))).collect();
    if let Some(entry) = &resolved.link {
        utm = utm.or(&entry.1.utm);
        lang = lang.or_else(|| entry.1.lang.clone());
    }
    (utm, lang, params, cut)
}

/// PostgreSQL keeps no NUL in a text.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

fn kept_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARACTERS_MAX).collect()
}

fn json_of<'n, 'v>(pairs: impl Iterator<Item = (&'n str, &'v str)>) -> String {
    let map: serde_json::Map<String, serde_json::Value> =
        pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    serde_json::Value::Object(map).to_string()
}
