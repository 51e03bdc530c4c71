//! Deliveries of webhooks as their owner sees them: listed, looked at, retried, and made up to try a receiver.
//!
//! Leaves claiming, sending and judging to `delivery`. Invariant: a made-up delivery is signed with a secret that nothing
//! else has, is tried once, and leaves nothing behind.

use super::{check_basic_auth, check_event_types, check_headers, new_row};
use crate::app::App;
use crate::error::{Error, Result};
use crate::secrets::random;
use headwater_domain::ids::{AccountId, DeliveryId, EndpointId};
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::envelope;
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus};
use headwater_store::backend::Tx;
use headwater_store::delivery::{
    AttemptRow, DeadLetterFilter, NewDelivery, dead_letters_requeue, deliveries_insert, delivery_attempts,
    delivery_requeue,
};
use headwater_store::directory::EndpointRow;
use headwater_store::endpoint::endpoint_number;
use headwater_store::webhook as rows;
pub use headwater_store::webhook::WebhookDeliveryRow as WebhookDelivery;
use std::collections::BTreeMap;
use std::time::Duration;

/// The kind of endpoints that are there for one made-up delivery.
const TRIAL_DIALECT: &str = "trial";
/// How long a receiver that is tried may take.
const TRIAL_TIMEOUT_SECONDS: i64 = 10;
const TRIAL_STEP: Duration = Duration::from_millis(25);
/// The time limit of the attempt and some.
const TRIAL_STEPS_MAX: u32 = 600;

/// A receiver to try.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is that of a webhook")]
pub struct TrialRequest {
    pub url: String,
    pub event_type: String,
    pub headers: BTreeMap<String, String>,
    pub basic_auth_user: Option<String>,
    pub basic_auth_password: Option<String>,
}

/// What a receiver did with a made-up delivery; `None` where there was no attempt in time.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Whether it took it.
    pub is_delivered: bool,
    /// The attempt.
    pub attempt: Option<AttemptRow>,
}

impl App {
    /// A page of a webhook's deliveries, newest first, and how many there are.
    pub async fn webhook_deliveries(
        &self,
        account: AccountId,
        webhook: EndpointId,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<WebhookDelivery>, i64)> {
        self.webhook_read(account, webhook).await?;
        let read = async move |tx: &Tx<'_>| {
            let page = rows::webhook_delivery_list(tx, account.0, webhook.0, limit, offset).await?;
            Ok((page, rows::webhook_delivery_count(tx, account.0, webhook.0).await?))
        };
        Ok(self.store.money.read(read).await?)
    }

    /// One delivery of a webhook.
    pub async fn webhook_delivery(&self, account: AccountId, webhook: EndpointId, id: i64) -> Result<WebhookDelivery> {
        self.webhook_read(account, webhook).await?;
        let read = async move |tx: &Tx<'_>| rows::webhook_delivery_get(tx, account.0, webhook.0, id).await;
        self.store.money.read(read).await?.ok_or(Error::NotFound("delivery"))
    }

    /// Queues a delivery again, due now, as if it had not been tried.
    ///
    /// # Errors
    /// [`Error::Conflict`] where its failed attempts have reached `max_retries`, or it is being sent.
    pub async fn webhook_delivery_retry(
        &self,
        account: AccountId,
        webhook: EndpointId,
        id: i64,
    ) -> Result<WebhookDelivery> {
        let owner = self.webhook_read(account, webhook).await?;
        let delivery = self.webhook_delivery(account, webhook, id).await?;
        let refused =
            |message: &str| Error::Conflict { code: "not_retryable", param: None, message: message.to_owned() };
        if delivery.attempts - delivery.attempts_before >= owner.max_retries {
            return Err(refused("The delivery has reached max_retries."));
        }
        let now = self.clock.now().0;
        let requeue = async move |tx: &Tx<'_>| delivery_requeue(tx, account.0, webhook.0, id, now).await;
        if !self.store.money.write(requeue).await? {
            return Err(refused("The delivery is being sent: ask again in a moment."));
        }
        self.outbox.ring();
        self.webhook_delivery(account, webhook, id).await
    }

    /// Queues a delivery again, due now, however often it was tried.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is being sent.
    pub async fn webhook_delivery_requeue(&self, account: AccountId, webhook: EndpointId, id: i64) -> Result<()> {
        self.webhook_delivery(account, webhook, id).await?;
        let now = self.clock.now().0;
        let requeue = async move |tx: &Tx<'_>| delivery_requeue(tx, account.0, webhook.0, id, now).await;
        if !self.store.money.write(requeue).await? {
            let message = "The delivery is being sent: ask again in a moment.".to_owned();
            return Err(Error::Conflict { code: "not_retryable", param: None, message });
        }
        self.outbox.ring();
        Ok(())
    }

    /// Queues a webhook's dead letters again, due now; gives how many.
    pub async fn webhook_dead_letters_retry(
        &self,
        account: AccountId,
        webhook: EndpointId,
        filter: DeadLetterFilter,
    ) -> Result<u64> {
        self.webhook_read(account, webhook).await?;
        let now = self.clock.now().0;
        let requeue = async move |tx: &Tx<'_>| dead_letters_requeue(tx, account.0, webhook.0, &filter, now).await;
        let queued = self.store.money.write(requeue).await?;
        self.outbox.ring();
        Ok(queued)
    }

    /// Sends one made-up delivery to a receiver that need not be a webhook, and waits for its one attempt.
    pub async fn webhook_try(&self, account: AccountId, request: TrialRequest) -> Result<Trial> {
        self.check_target(&request.url)?;
        if request.event_type.is_empty() {
            return Err(Error::invalid("event_type", "is required"));
        }
        check_event_types(std::slice::from_ref(&request.event_type)).map_err(|error| match error {
            Error::Invalid { message, .. } => Error::invalid("event_type", message),
            other => other,
        })?;
        check_headers(&request.headers)?;
        check_basic_auth(request.basic_auth_user.as_deref(), request.basic_auth_password.as_deref())?;
        let now = self.clock.now();
        let id = DeliveryId(self.next_id(now));
        let public_id = delivery_public_id(id, now);
        let body = envelope::rewards_test(&public_id, &request.event_type, now);
        let outbox = self.outbox.clone();
        let insert = async move |tx: &Tx<'_>| {
            let endpoint = EndpointId(endpoint_number(tx).await?);
            let secret = Secret::from_random(random());
            let password = request.basic_auth_password.as_deref().unwrap_or_default();
            let row = EndpointRow {
                url: request.url.clone(),
                status: EndpointStatus::Disabled.name().to_owned(),
                sealed_secret: outbox.seal(endpoint, &secret),
                dialect: TRIAL_DIALECT.to_owned(),
                timeout_seconds: TRIAL_TIMEOUT_SECONDS,
                headers: serde_json::json!(request.headers).to_string(),
                basic_auth_user: request.basic_auth_user.clone(),
                sealed_basic_auth: Some(outbox.seal_password(endpoint, password)),
                basic_auth_enabled: request.basic_auth_user.is_some(),
                ..new_row(account, endpoint, now)
            };
            rows::trial_insert(tx, &row).await?;
            let delivery = NewDelivery {
                id: id.0,
                account_id: account.0,
                endpoint_id: endpoint.0,
                event_id: None,
                event_type: request.event_type.clone(),
                body: body.clone(),
                is_test: true,
                created_at: now.0,
                payout_id: None,
            };
            deliveries_insert(tx, &[delivery]).await?;
            Ok(endpoint)
        };
        let endpoint = self.store.money.write(insert).await?;
        self.outbox.ring();
        let trial = self.trial_ended(account, endpoint, id).await;
        self.store.money.write(async move |tx| rows::trial_forget(tx, account.0, endpoint.0).await).await?;
        trial
    }

    async fn trial_ended(&self, account: AccountId, endpoint: EndpointId, id: DeliveryId) -> Result<Trial> {
        for _ in 0..TRIAL_STEPS_MAX {
            let read = async move |tx: &Tx<'_>| {
                let row = rows::webhook_delivery_get(tx, account.0, endpoint.0, id.0).await?;
                Ok((row, delivery_attempts(tx, id.0).await?))
            };
            let (row, mut attempts) = self.store.money.read(read).await?;
            let status = row.and_then(|row| DeliveryStatus::parse(&row.status));
            if status != Some(DeliveryStatus::Pending) {
                return Ok(Trial { is_delivered: status == Some(DeliveryStatus::Delivered), attempt: attempts.pop() });
            }
            tokio::time::sleep(TRIAL_STEP).await;
        }
        Ok(Trial { is_delivered: false, attempt: None })
    }
}
