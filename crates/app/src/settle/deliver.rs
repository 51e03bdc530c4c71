//! What the readers of an event see: the Event object, and one outbox row for every endpoint that wants it.

use super::decide::Decision;
use super::load::unreadable;
use crate::directory::Directory;
use headwater_domain::event::{Event, State};
use headwater_domain::ids::{
    AccountId, ClickId, DeliveryId, EventId, LinkId, PartnerId, PersonId, ProgramId, to_prefixed,
};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::envelope::{Message, render};
use headwater_domain::postback::subscription::{EnabledEvents, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use headwater_store::backend::Result;
use headwater_store::delivery::NewDelivery;
use headwater_store::settlement::EventRow;

impl Decision<'_> {
    /// One outbox row for every endpoint that wants the event, with the exact bytes to send.
    pub(super) fn deliver(&mut self, row: &EventRow) -> Result<()> {
        let event_json = self.event_json(row)?;
        for endpoint in self.directory.endpoints(AccountId(row.account_id)) {
            let wants = EnabledEvents::from_json(&endpoint.enabled_events).want(&row.kind);
            if !wants || EndpointStatus::parse(&endpoint.status) != Some(EndpointStatus::Enabled) {
                continue;
            }
            let id = DeliveryId((self.next_id)());
            let style = PayloadStyle::parse(&endpoint.payload_style).unwrap_or_default();
            let delivery_id = delivery_public_id(id, self.now);
            let message = Message {
                delivery_id: &delivery_id,
                event_id: row.id,
                event_type: &row.kind,
                created: Instant(row.occurred_at),
                livemode: true,
                event_json: &event_json,
            };
            self.view.outcome.deliveries.push(NewDelivery {
                id: id.0,
                account_id: row.account_id,
                endpoint_id: endpoint.id,
                event_id: Some(row.id),
                event_type: row.kind.clone(),
                body: render(style, message),
                is_test: false,
                created_at: self.now.0,
                payout_id: None,
            });
        }
        Ok(())
    }

    /// The Event object as JSON text.
    pub(super) fn event_json(&self, row: &EventRow) -> Result<String> {
        Ok(event_of(row, self.directory)?.to_json())
    }
}

/// The event with the names that its readers know.
pub(crate) fn event_of(row: &EventRow, directory: &Directory) -> Result<Event> {
    let account = AccountId(row.account_id);
    let partner = row.partner_id.and_then(|id| directory.partner_by_id(account, PartnerId(id)));
    let link = row.link_id.and_then(|id| directory.link(account, LinkId(id)));
    Ok(Event {
        id: EventId(row.id),
        event_type: row.kind.clone(),
        click: row.click_id.map(ClickId),
        client: row.person_id.map(PersonId),
        amount: row.amount.clone(),
        currency: row.currency.clone(),
        is_conversion: row.is_conversion,
        is_duplicate: row.is_duplicate,
        occurred_at: Instant(row.occurred_at),
        partner: partner.map(|p| p.row.external_id.clone()),
        link: link.map(|l| to_prefixed(LINK_PREFIX, l.id, Instant(l.created_at))),
        program: ProgramId(row.program_id),
        attribution: row.evidence.clone(),
        state: State::parse(&row.state).ok_or_else(|| unreadable("state of event", row.id))?,
        event_key: row.event_key.clone(),
        metadata: row.metadata.clone(),
    })
}
