//! First deposits of ever new clients, settled in this process: what `track` does, without HTTP.

use super::stage::{COMMISSION, PARTNER, SITE_URL};
use anyhow::{Context as _, Result, anyhow, ensure};
use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_app::settle::{Answer, Command, Track};
use headwater_domain::attribution::{Evidence, Touch};
use headwater_domain::click::token::Traffic;
use headwater_domain::ids::{AccountId, ClickId, KeyId, LinkId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::{Place, Store};
use serde_json::json;
use std::sync::Arc;

const MASTER_KEY: [u8; 32] = [7; 32];

/// An application on a store of its own, with a program, a partner and a plan.
#[derive(Debug)]
pub struct Settling {
    pub app: Arc<App>,
    pub account: AccountId,
    pub program: ProgramId,
    partner: PartnerId,
}

impl Settling {
    /// Makes all of it in an empty store.
    pub async fn open(place: &Place) -> Result<Self> {
        let store = Store::open(place, |error| eprintln!("headwater: {error}")).await?;
        let start = Start {
            clock: Clock::System,
            master_key: MASTER_KEY,
            public_url: "http://127.0.0.1".to_owned(),
            egress_allow: Vec::new(),
        };
        let app = App::start(store, start).await?;
        let made = app.init_account("Bench", "Bench", SITE_URL).await?;
        let (account, program) = (made.account_id, made.program_id);
        let (name, number) = app
            .plan_save(account, &plan(), Keep::nothing())
            .await
            .map_err(|failure| anyhow!("the plan: {failure:?}"))?;
        app.plan_activate(account, &name, number, Instant(0)).await?;
        let fields = json!({ "plan": name });
        app.program_patch(account, program, fields.as_object().context("an object")?).await?;
        let asked = PartnerRequest {
            id: Some(PARTNER.to_owned()),
            name: Some("Bench".to_owned()),
            ..PartnerRequest::default()
        };
        let partner = PartnerId(app.partner_create(account, asked, Keep::nothing()).await?.row.id);
        Ok(Self { app, account, program, partner })
    }

    /// Settles the first deposit of the client of this number.
    pub async fn deposit(&self, number: i64) -> Result<()> {
        let now = self.app.clock.now();
        let touch = Touch {
            click: ClickId(number + 1),
            link: LinkId(1),
            partner: self.partner,
            at: now,
            evidence: Evidence::Click,
            traffic: Traffic::Open,
        };
        let track = Track {
            account: self.account,
            program: self.program,
            key: KeyId(1),
            trusted: true,
            event_type: "FIRST_DEPOSIT".to_owned(),
            touch: Some(touch),
            touch_reason: None,
            email_key: Some(format!("c{number}@client.example")),
            name: None,
            amount: Decimal::parse("500").ok().map(|amount| (amount, "500".to_owned())),
            currency: Currency::parse("USD"),
            metadata: None,
            data: None,
            event_key: None,
            fingerprint: String::new(),
            occurred_at: None,
            idempotency: None,
        };
        match self.app.settle(Command::Track(Box::new(track))).await? {
            Answer::Event { json, .. } => {
                ensure!(json.contains(r#""isConversion":true"#), "a deposit that pays nothing: {json}");
                Ok(())
            }
            other => Err(anyhow!("a deposit was answered with {other:?}")),
        }
    }
}

/// What the bench's partner is paid by.
pub fn plan() -> serde_json::Value {
    json!({
        "name": "standard", "currency": "USD", "qualification": { "min_first_deposit": "250" },
        "rules": [{ "id": "cpa", "kind": "cpa", "amount": COMMISSION.to_string() }]
    })
}
