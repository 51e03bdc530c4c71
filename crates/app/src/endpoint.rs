//! Postback endpoints: create, list, change, rotate, delete (`referral-api.md` §9).
//!
//! A secret is shown once, by the operation that made it, and kept sealed. Leaves to others: the JSON of the dialect,
//! and what is delivered. Invariant: a URL is only saved after [`target::check_url`] accepted it.

use crate::keep::Keep;
use crate::outbox::Outbox;
use crate::secrets::random;
use headwater_domain::ids::{AccountId, EndpointId, from_prefixed};
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{EnabledEvents, EndpointStatus, EventsError, PayloadStyle};
use headwater_domain::postback::target::{self, TargetError};
use headwater_domain::postback::{ENDPOINT_PREFIX, endpoint_public_id};
use headwater_domain::time::Instant;
use headwater_store::backend::Error;
use headwater_store::directory::EndpointRow;
use headwater_store::endpoint::{self as rows, NewEndpoint};

/// The kind of endpoints that these operations see; webhooks have their own.
const REFERRAL_DIALECT: &str = "referral";
/// A label, in characters.
const DESCRIPTION_CHARS_MAX: usize = 500;
/// The free JSON of an endpoint, in bytes (ours).
const METADATA_BYTES_MAX: usize = 16 * 1024;
/// The longest grace of a rotation.
const GRACE_SECONDS_MAX: i64 = 86_400;

/// An endpoint as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number.
    pub id: EndpointId,
    /// `pe_…`.
    pub public_id: String,
    /// Where deliveries go.
    pub url: String,
    /// What it hears.
    pub enabled_events: EnabledEvents,
    /// The owner's label.
    pub description: Option<String>,
    /// The owner's JSON object, as text.
    pub metadata: String,
    /// Its envelope.
    pub payload_style: PayloadStyle,
    /// Whether it gets new deliveries.
    pub status: EndpointStatus,
    /// The last characters of the secret.
    pub secret_hint: String,
    /// When it was made.
    pub created_at: Instant,
}

/// What an endpoint is made of.
#[derive(Debug, Clone)]
pub struct EndpointInput {
    /// Checked here.
    pub url: String,
    /// Checked here; `["*"]` is all.
    pub enabled_events: Vec<String>,
    /// At most 500 characters.
    pub description: Option<String>,
    /// A JSON object as text.
    pub metadata: String,
    /// The envelope.
    pub payload_style: PayloadStyle,
}

/// What changes; `None` leaves a field alone.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is that of `EndpointInput`")]
pub struct EndpointPatch {
    pub url: Option<String>,
    pub enabled_events: Option<Vec<String>>,
    /// `Some(None)` removes it.
    pub description: Option<Option<String>>,
    pub metadata: Option<String>,
    /// Only `Enabled` and `Disabled`.
    pub status: Option<EndpointStatus>,
}

/// Why an operation on an endpoint failed.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No such endpoint of the account.
    #[error("no such endpoint")]
    NotFound,
    /// `url` is refused.
    #[error("url {0}")]
    Url(#[from] TargetError),
    /// `enabled_events` is refused.
    #[error("enabled_events {0}")]
    Events(#[from] EventsError),
    /// `description` is too long.
    #[error("description must have at most {DESCRIPTION_CHARS_MAX} characters")]
    Description,
    /// `metadata` is too large.
    #[error("metadata must have at most {METADATA_BYTES_MAX} bytes")]
    Metadata,
    /// `status` is neither `enabled` nor `disabled`.
    #[error("status must be enabled or disabled")]
    Status,
    /// `grace_seconds` is out of range.
    #[error("grace_seconds must be from 0 to {GRACE_SECONDS_MAX}")]
    Grace,
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Endpoint {
    /// From its row.
    ///
    /// # Errors
    /// [`Error::Refused`] where the row holds a name that this version does not know.
    pub fn from_row(row: &EndpointRow) -> Result<Self, Error> {
        let unknown = |what: &str, name: &str| Error::Refused(format!("endpoint {}: unknown {what} {name:?}", row.id));
        let (id, created_at) = (EndpointId(row.id), Instant(row.created_at));
        Ok(Self {
            id,
            public_id: endpoint_public_id(id, created_at),
            url: row.url.clone(),
            enabled_events: EnabledEvents::from_json(&row.enabled_events),
            description: row.description.clone(),
            metadata: row.metadata.clone(),
            payload_style: PayloadStyle::parse(&row.payload_style)
                .ok_or_else(|| unknown("payload style", &row.payload_style))?,
            status: EndpointStatus::parse(&row.status).ok_or_else(|| unknown("status", &row.status))?,
            secret_hint: row.secret_hint.clone(),
            created_at,
        })
    }
}

/// Adds an endpoint; the secret is given here only.
///
/// # Errors
/// [`EndpointError`].
pub async fn endpoint_create(
    outbox: &Outbox,
    account: AccountId,
    input: EndpointInput,
    now: Instant,
    keep: Keep<(Endpoint, Secret)>,
) -> Result<(Endpoint, Secret), EndpointError> {
    target::check_url(&input.url, &outbox.allow)?;
    let enabled_events = EnabledEvents::parse(&input.enabled_events)?;
    check_texts(input.description.as_deref(), &input.metadata)?;
    let new = NewEndpoint {
        account_id: account.0,
        url: input.url,
        enabled_events: enabled_events.to_json(),
        description: input.description,
        metadata: input.metadata,
        payload_style: input.payload_style.name().to_owned(),
        created_at: now.0,
    };
    let secret = Secret::from_random(random());
    let sealing = outbox.clone();
    let made = outbox
        .store
        .money
        .write(async move |tx| {
            let id = rows::endpoint_number(tx).await?;
            let sealed = sealing.seal(EndpointId(id), &secret);
            rows::endpoint_insert(tx, id, &new, &sealed, &secret.hint()).await?;
            let row = rows::endpoint_get(tx, new.account_id, id).await?.ok_or(Error::Missing)?;
            let made = (Endpoint::from_row(&row)?, secret.clone());
            keep.keep(tx, &made).await?;
            Ok(made)
        })
        .await?;
    Ok(made)
}

/// The endpoints after `starting_after`, newest first, at most `limit`, and whether there are more.
///
/// # Errors
/// [`EndpointError::NotFound`] where `starting_after` is no id of an endpoint of this account.
pub async fn endpoint_list(
    outbox: &Outbox,
    account: AccountId,
    starting_after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Endpoint>, bool), EndpointError> {
    let before = match starting_after {
        // A deleted one still has its place in the order.
        Some(text) => endpoint_or_tombstone(outbox, account, text).await?.0.id.0,
        None => i64::MAX,
    };
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut found =
        outbox.store.money.read(async move |tx| rows::endpoint_list(tx, account.0, before, one_more).await).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    Ok((found.iter().map(Endpoint::from_row).collect::<Result<_, _>>()?, has_more))
}

/// One endpoint that is not deleted.
///
/// # Errors
/// [`EndpointError::NotFound`].
pub async fn endpoint_get(outbox: &Outbox, account: AccountId, public_id: &str) -> Result<Endpoint, EndpointError> {
    let (endpoint, _) = endpoint_or_tombstone(outbox, account, public_id).await?;
    if endpoint.status == EndpointStatus::Deleted { Err(EndpointError::NotFound) } else { Ok(endpoint) }
}

/// One endpoint, deleted ones too, with when that was: their dead letters stay visible for a while.
pub(crate) async fn endpoint_or_tombstone(
    outbox: &Outbox,
    account: AccountId,
    public_id: &str,
) -> Result<(Endpoint, Option<Instant>), EndpointError> {
    let id = from_prefixed(ENDPOINT_PREFIX, public_id).ok_or(EndpointError::NotFound)?;
    let row = outbox.store.money.read(async move |tx| rows::endpoint_get(tx, account.0, id).await).await?;
    let row = row.filter(|row| row.dialect == REFERRAL_DIALECT).ok_or(EndpointError::NotFound)?;
    let endpoint = Endpoint::from_row(&row)?;
    // A made-up time in the id does not pass.
    if endpoint.public_id == public_id {
        Ok((endpoint, row.deleted_at.map(Instant)))
    } else {
        Err(EndpointError::NotFound)
    }
}

/// Changes what is given.
///
/// # Errors
/// [`EndpointError`].
pub async fn endpoint_update(
    outbox: &Outbox,
    account: AccountId,
    public_id: &str,
    patch: EndpointPatch,
) -> Result<Endpoint, EndpointError> {
    let id = endpoint_get(outbox, account, public_id).await?.id;
    if let Some(url) = &patch.url {
        target::check_url(url, &outbox.allow)?;
    }
    let enabled_events = patch.enabled_events.as_deref().map(EnabledEvents::parse).transpose()?;
    let description = patch.description.as_ref().and_then(Option::as_deref);
    check_texts(description, patch.metadata.as_deref().unwrap_or_default())?;
    if patch.status == Some(EndpointStatus::Deleted) {
        return Err(EndpointError::Status);
    }
    let row = outbox
        .store
        .money
        .write(async move |tx| {
            let Some(mut row) = rows::endpoint_lock(tx, account.0, id.0).await? else { return Ok(None) };
            if row.deleted_at.is_some() {
                return Ok(None);
            }
            row.url = patch.url.clone().unwrap_or(row.url);
            row.enabled_events = enabled_events.as_ref().map_or(row.enabled_events, EnabledEvents::to_json);
            row.description = patch.description.clone().unwrap_or(row.description);
            row.metadata = patch.metadata.clone().unwrap_or(row.metadata);
            row.status = patch.status.map_or(row.status, |status| status.name().to_owned());
            rows::endpoint_update(tx, &row).await?;
            Ok(Some(row))
        })
        .await?;
    outbox.ring();
    Ok(Endpoint::from_row(&row.ok_or(EndpointError::NotFound)?)?)
}

/// Gives the endpoint a new secret, shown here only; the old one co-signs for `grace_seconds`.
///
/// # Errors
/// [`EndpointError`].
pub async fn endpoint_rotate_secret(
    outbox: &Outbox,
    account: AccountId,
    public_id: &str,
    grace_seconds: i64,
    now: Instant,
    keep: Keep<(Endpoint, Secret)>,
) -> Result<(Endpoint, Secret), EndpointError> {
    if !(0..=GRACE_SECONDS_MAX).contains(&grace_seconds) {
        return Err(EndpointError::Grace);
    }
    let id = endpoint_get(outbox, account, public_id).await?.id;
    let secret = Secret::from_random(random());
    let (sealed, hint) = (outbox.seal(id, &secret), secret.hint());
    let until = now.plus_seconds(grace_seconds);
    let made = outbox
        .store
        .money
        .write(async move |tx| {
            rows::endpoint_rotate(tx, account.0, id.0, &sealed, &hint, now.0, until.0).await?;
            let row = rows::endpoint_get(tx, account.0, id.0).await?.ok_or(Error::Missing)?;
            let made = (Endpoint::from_row(&row)?, secret.clone());
            keep.keep(tx, &made).await?;
            Ok(made)
        })
        .await?;
    Ok(made)
}

/// Deletes an endpoint for good: its queue is emptied, what is in flight finishes.
///
/// # Errors
/// [`EndpointError::NotFound`].
pub async fn endpoint_delete(
    outbox: &Outbox,
    account: AccountId,
    public_id: &str,
    now: Instant,
) -> Result<(), EndpointError> {
    let id = endpoint_get(outbox, account, public_id).await?.id;
    let there =
        outbox.store.money.write(async move |tx| rows::endpoint_delete(tx, account.0, id.0, now.0).await).await?;
    if there { Ok(()) } else { Err(EndpointError::NotFound) }
}

fn check_texts(description: Option<&str>, metadata: &str) -> Result<(), EndpointError> {
    if description.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
        return Err(EndpointError::Description);
    }
    if metadata.len() > METADATA_BYTES_MAX { Err(EndpointError::Metadata) } else { Ok(()) }
}
