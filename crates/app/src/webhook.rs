//! Webhooks of the rewards dialect: made, listed, changed, rotated and deleted by their owner (`rewards-api.md` §5, §10).
//!
//! A webhook is an endpoint with programs, a time limit, retries and headers of its own; the queue, its health and its
//! signatures are those of every endpoint. Leaves the JSON to the dialect and what is delivered to the announcements.
//! Invariant: a URL is only saved after [`target::check_url`] accepted it, and a password is stored sealed.

mod delivery;

pub use delivery::{Trial, TrialRequest, WebhookDelivery};

use crate::app::App;
use crate::directory::REWARDS_DIALECT;
use crate::error::{Error, Result};
use crate::fulfilment;
use crate::keep::Keep;
use crate::secrets::random;
use headwater_domain::ids::{AccountId, EndpointId, ProgramId};
use headwater_domain::postback::retry::Profile;
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{EndpointStatus, PayloadStyle};
use headwater_domain::postback::{header, rewards_event, target};
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::directory::EndpointRow;
use headwater_store::endpoint::{self as endpoints};
use headwater_store::webhook as rows;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A label, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
const TIMEOUT_SECONDS: std::ops::RangeInclusive<i64> = 1..=120;
const TIMEOUT_SECONDS_DEFAULT: i64 = 30;
const MAX_RETRIES: std::ops::RangeInclusive<i64> = 0..=10;
/// User and password of Basic authentication, each in characters.
const BASIC_AUTH_CHARS_MAX: usize = 255;

/// A webhook as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its number.
    pub id: EndpointId,
    /// Where deliveries go.
    pub url: String,
    /// What it listens to.
    pub event_types: Vec<String>,
    /// Of which programs; none: of all.
    pub programs: Vec<ProgramId>,
    /// The owner's label.
    pub description: Option<String>,
    /// Whether it gets new deliveries.
    pub is_active: bool,
    /// How long an attempt may take.
    pub timeout_seconds: i64,
    /// When a failed delivery is tried again.
    pub retry_profile: Profile,
    /// How many failed attempts end a delivery; 0: one attempt and no retry.
    pub max_retries: i64,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// Whom Basic authentication names.
    pub basic_auth_user: Option<String>,
    /// Whether it is sent.
    pub is_basic_auth_enabled: bool,
    /// When it was made.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// What is to be changed, or what a new webhook is made of; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is that of `Webhook`")]
pub struct WebhookChange {
    pub url: Option<String>,
    pub event_types: Option<Vec<String>>,
    pub programs: Option<Vec<ProgramId>>,
    /// `Some(None)` removes it.
    pub description: Option<Option<String>>,
    pub is_active: Option<bool>,
    pub timeout_seconds: Option<i64>,
    /// Alone it selects [`Profile::Linear20`].
    pub max_retries: Option<i64>,
    pub retry_profile: Option<Profile>,
    pub headers: Option<BTreeMap<String, String>>,
    /// `Some(None)` removes it.
    pub basic_auth_user: Option<Option<String>>,
    /// Sealed, and shown to nobody.
    pub basic_auth_password: Option<String>,
    pub is_basic_auth_enabled: Option<bool>,
}

impl Webhook {
    fn from_row(row: &EndpointRow) -> Self {
        let programs: Vec<i64> = serde_json::from_str(&row.programs).unwrap_or_default();
        Self {
            id: EndpointId(row.id),
            url: row.url.clone(),
            event_types: serde_json::from_str(&row.enabled_events).unwrap_or_default(),
            programs: programs.into_iter().map(ProgramId).collect(),
            description: row.description.clone(),
            is_active: EndpointStatus::parse(&row.status) == Some(EndpointStatus::Enabled),
            timeout_seconds: row.timeout_seconds,
            retry_profile: Profile::parse(&row.retry_profile).unwrap_or_default(),
            max_retries: row.max_retries,
            headers: serde_json::from_str(&row.headers).unwrap_or_default(),
            basic_auth_user: row.basic_auth_user.clone(),
            is_basic_auth_enabled: row.basic_auth_enabled,
            created_at: Instant(row.created_at),
            updated_at: Instant(row.updated_at),
        }
    }
}

impl App {
    /// Adds a webhook; its secret is given here only.
    pub async fn webhook_create(
        &self,
        account: AccountId,
        change: WebhookChange,
        keep: Keep<(Webhook, Secret)>,
    ) -> Result<(Webhook, Secret)> {
        for (field, is_given) in [("url", change.url.is_some()), ("event_types", change.event_types.is_some())] {
            if !is_given {
                return Err(Error::invalid(field, "is required"));
            }
        }
        self.webhook_check(account, &change)?;
        let now = self.clock.now();
        let outbox = self.outbox.clone();
        let insert = async move |tx: &Tx<'_>| {
            let id = EndpointId(endpoints::endpoint_number(tx).await?);
            let secret = Secret::from_random(random());
            let mut row = EndpointRow {
                sealed_secret: outbox.seal(id, &secret),
                secret_hint: secret.hint(),
                ..new_row(account, id, now)
            };
            let password = change.basic_auth_password.as_deref().map(|text| outbox.seal_password(id, text));
            if let Err(error) = apply(&mut row, &change, password) {
                return Ok(Err(error));
            }
            rows::webhook_insert(tx, &row).await?;
            let made = (Webhook::from_row(&row), secret);
            keep.keep(tx, &made).await?;
            Ok(Ok(made))
        };
        let made = self.store.money.write(insert).await??;
        self.refresh_committed().await;
        Ok(made)
    }

    /// A page of webhooks, newest first, and how many there are.
    pub async fn webhook_list(&self, account: AccountId, limit: i64, offset: i64) -> Result<(Vec<Webhook>, i64)> {
        let read = async move |tx: &Tx<'_>| {
            let page = rows::webhook_list(tx, account.0, limit, offset).await?;
            Ok((page, rows::webhook_count(tx, account.0).await?))
        };
        let (page, total) = self.store.money.read(read).await?;
        Ok((page.iter().map(Webhook::from_row).collect(), total))
    }

    /// One webhook.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for an endpoint of another dialect.
    pub async fn webhook_read(&self, account: AccountId, id: EndpointId) -> Result<Webhook> {
        let found = self.store.money.read(async move |tx| endpoints::endpoint_get(tx, account.0, id.0).await).await?;
        found.filter(is_webhook).map(|row| Webhook::from_row(&row)).ok_or(Error::NotFound("webhook"))
    }

    /// Changes what is given. A webhook that is saved is judged anew.
    pub async fn webhook_update(&self, account: AccountId, id: EndpointId, change: WebhookChange) -> Result<Webhook> {
        self.webhook_check(account, &change)?;
        let now = self.clock.now();
        let password = change.basic_auth_password.as_deref().map(|text| self.outbox.seal_password(id, text));
        let update = async move |tx: &Tx<'_>| {
            let found = endpoints::endpoint_lock(tx, account.0, id.0).await?.filter(is_webhook);
            let Some(mut row) = found else { return Ok(Err(Error::NotFound("webhook"))) };
            if let Err(error) = apply(&mut row, &change, password.clone()) {
                return Ok(Err(error));
            }
            row.updated_at = now.0;
            rows::webhook_update(tx, &row).await?;
            Ok(Ok(Webhook::from_row(&row)))
        };
        let changed = self.store.money.write(update).await??;
        self.refresh_committed().await;
        self.outbox.ring();
        Ok(changed)
    }

    /// Gives a webhook a new secret, shown here only. What was made before keeps its old one.
    pub async fn webhook_rotate_secret(&self, account: AccountId, id: EndpointId) -> Result<(Webhook, Secret)> {
        let secret = Secret::from_random(random());
        let (sealed, hint, now) = (self.outbox.seal(id, &secret), secret.hint(), self.clock.now().0);
        let rotate = async move |tx: &Tx<'_>| {
            let Some(row) = endpoints::endpoint_lock(tx, account.0, id.0).await?.filter(is_webhook) else {
                return Ok(None);
            };
            endpoints::endpoint_rotate(tx, account.0, id.0, &sealed, &hint, now, now).await?;
            Ok(Some(Webhook::from_row(&row)))
        };
        let webhook = self.store.money.write(rotate).await?.ok_or(Error::NotFound("webhook"))?;
        self.refresh_committed().await;
        Ok((webhook, secret))
    }

    /// Deletes a webhook and its deliveries; what is being sent finishes. Gives it as it was.
    ///
    /// The rewards that it was still to be asked about have issues from now on, and whoever else listens hears of it.
    pub async fn webhook_delete(self: &Arc<Self>, account: AccountId, id: EndpointId) -> Result<Webhook> {
        let now = self.clock.now();
        let app = Arc::clone(self);
        let delete = async move |tx: &Tx<'_>| {
            let Some(row) = endpoints::endpoint_lock(tx, account.0, id.0).await?.filter(is_webhook) else {
                return Ok(None);
            };
            let asked = rows::webhook_asked_payouts(tx, account.0, id.0).await?;
            endpoints::endpoint_delete(tx, account.0, id.0, now.0).await?;
            let delivers = fulfilment::unasked(tx, &app, account, id, asked, now).await?;
            rows::webhook_deliveries_drop(tx, account.0, id.0, now.0).await?;
            Ok(Some((Webhook::from_row(&row), delivers)))
        };
        let deleted = self.store.money.write(delete).await?;
        let (webhook, delivers) = deleted.ok_or(Error::NotFound("webhook"))?;
        self.refresh_committed().await;
        if delivers {
            self.outbox.ring();
        }
        Ok(webhook)
    }

    /// What can be said of a change without the webhook that it is for.
    fn webhook_check(&self, account: AccountId, change: &WebhookChange) -> Result<()> {
        if let Some(url) = &change.url {
            self.check_target(url)?;
        }
        if let Some(types) = &change.event_types {
            check_event_types(types)?;
        }
        for program in change.programs.iter().flatten() {
            let is_there = self.program_read(account, *program).is_ok();
            if !is_there {
                return Err(Error::invalid("campaign_ids", format!("names {program}, which is no campaign")));
            }
        }
        let description = change.description.as_ref().and_then(Option::as_deref).unwrap_or_default();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(Error::invalid("description", format!("must have at most {DESCRIPTION_CHARS_MAX} characters")));
        }
        if change.timeout_seconds.is_some_and(|seconds| !TIMEOUT_SECONDS.contains(&seconds)) {
            return Err(Error::invalid("timeout", "must be from 1 to 120 seconds"));
        }
        if change.max_retries.is_some_and(|retries| !MAX_RETRIES.contains(&retries)) {
            return Err(Error::invalid("max_retries", "must be from 0 to 10"));
        }
        if let Some(headers) = &change.headers {
            check_headers(headers)?;
        }
        let user = change.basic_auth_user.as_ref().and_then(Option::as_deref);
        check_basic_auth(user, change.basic_auth_password.as_deref())
    }

    pub(crate) fn check_target(&self, url: &str) -> Result<()> {
        let checked = target::check_url(url, &self.outbox.allow);
        checked.map(|_| ()).map_err(|error| Error::invalid("url", error.to_string()))
    }
}

fn is_webhook(row: &EndpointRow) -> bool {
    row.dialect == REWARDS_DIALECT && row.deleted_at.is_none()
}

/// An enabled webhook of all programs with the published defaults, without a URL, types or a secret yet.
fn new_row(account: AccountId, id: EndpointId, now: Instant) -> EndpointRow {
    let profile = Profile::default();
    EndpointRow {
        id: id.0,
        account_id: account.0,
        url: String::new(),
        enabled_events: "[]".to_owned(),
        description: None,
        metadata: "{}".to_owned(),
        payload_style: PayloadStyle::Rewards.name().to_owned(),
        status: EndpointStatus::Enabled.name().to_owned(),
        sealed_secret: String::new(),
        sealed_previous: None,
        previous_until: None,
        secret_hint: String::new(),
        deleted_at: None,
        created_at: now.0,
        dialect: REWARDS_DIALECT.to_owned(),
        programs: "[]".to_owned(),
        timeout_seconds: TIMEOUT_SECONDS_DEFAULT,
        retry_profile: profile.name().to_owned(),
        max_retries: profile.max_retries(),
        headers: "{}".to_owned(),
        basic_auth_user: None,
        sealed_basic_auth: None,
        basic_auth_enabled: false,
        updated_at: now.0,
    }
}

fn apply(row: &mut EndpointRow, change: &WebhookChange, sealed_password: Option<String>) -> Result<()> {
    if let Some(url) = &change.url {
        row.url.clone_from(url);
    }
    if let Some(types) = &change.event_types {
        let mut once: Vec<&String> = Vec::new();
        for name in types {
            if !once.contains(&name) {
                once.push(name);
            }
        }
        row.enabled_events = serde_json::json!(once).to_string();
    }
    if let Some(programs) = &change.programs {
        let programs: Vec<i64> = programs.iter().map(|program| program.0).collect();
        row.programs = serde_json::json!(programs).to_string();
    }
    if let Some(description) = &change.description {
        row.description.clone_from(description);
    }
    if let Some(is_active) = change.is_active {
        let status = if is_active { EndpointStatus::Enabled } else { EndpointStatus::Disabled };
        status.name().clone_into(&mut row.status);
    }
    row.timeout_seconds = change.timeout_seconds.unwrap_or(row.timeout_seconds);
    // A number of retries without a profile means the profile that numbers of retries were published for.
    let profile = change.retry_profile.or_else(|| change.max_retries.map(|_| Profile::Linear20));
    if let Some(profile) = profile {
        profile.name().clone_into(&mut row.retry_profile);
        row.max_retries = change.max_retries.unwrap_or(profile.max_retries());
    }
    if let Some(headers) = &change.headers {
        row.headers = serde_json::json!(headers).to_string();
    }
    if let Some(user) = &change.basic_auth_user {
        row.basic_auth_user.clone_from(user);
    }
    let is_new_password = sealed_password.is_some();
    row.sealed_basic_auth = sealed_password.or(row.sealed_basic_auth.take());
    let is_whole = row.basic_auth_user.is_some() && row.sealed_basic_auth.is_some();
    row.basic_auth_enabled = match change.is_basic_auth_enabled {
        Some(true) if !is_whole => {
            return Err(Error::invalid("basic_auth_enabled", "needs basic_auth_user and basic_auth_password"));
        }
        Some(is_enabled) => is_enabled,
        None => is_whole && (row.basic_auth_enabled || is_new_password),
    };
    Ok(())
}

fn check_event_types(types: &[String]) -> Result<()> {
    if types.is_empty() {
        return Err(Error::invalid("event_types", "must name at least one event type"));
    }
    match types.iter().find(|name| !rewards_event::is_known(name)) {
        Some(unknown) => Err(Error::invalid("event_types", format!("names {unknown:?}, which is no event type"))),
        None => Ok(()),
    }
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<()> {
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    header::check_own(pairs).map_err(|error| Error::invalid("headers", error.to_string()))
}

fn check_basic_auth(user: Option<&str>, password: Option<&str>) -> Result<()> {
    let fits = |text: &str| text.chars().count() <= BASIC_AUTH_CHARS_MAX && !text.chars().any(char::is_control);
    // The first colon parts the two on the wire.
    if user.is_some_and(|user| user.is_empty() || user.contains(':') || !fits(user)) {
        return Err(Error::invalid("basic_auth_user", "must have 1 to 255 characters and no colon"));
    }
    if password.is_some_and(|password| !fits(password)) {
        return Err(Error::invalid("basic_auth_password", "must have at most 255 characters"));
    }
    Ok(())
}
