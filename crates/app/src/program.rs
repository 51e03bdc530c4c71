//! Programs: creating and changing them. Reading is the directory's.
//!
//! Invariant: what is stored parses as [`Settings`], and the plan that it names exists.

use crate::app::App;
use crate::campaign::{Upgrade, merged};
use crate::directory::Program;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::reprice::Mark;
use crate::secrets::random;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::inbound::HASHED;
use headwater_domain::program::{Settings, check_site_url};
use headwater_store::backend::Tx;
use headwater_store::directory::ProgramRow;
use headwater_store::repricing::mark_program;
use headwater_store::tenant::{program_insert, program_update};
use headwater_store::upgrade::upgrade_checks_of_program;
use serde_json::{Map, Value};
use std::sync::Arc;

impl App {
    /// Creates a program: `name`, `site_url` and any settings.
    pub async fn program_create(
        self: &Arc<Self>,
        account: AccountId,
        fields: &Map<String, Value>,
        keep: Keep<Program>,
    ) -> Result<Arc<Program>> {
        self.program_create_unless(account, fields, keep, |_| None).await
    }

    /// The same, unless `made` finds the program when its turn has come, whichever node made it.
    pub(crate) async fn program_create_unless(
        self: &Arc<Self>,
        account: AccountId,
        fields: &Map<String, Value>,
        keep: Keep<Program>,
        made: impl Fn(&App) -> Option<ProgramId> + Send + Sync + 'static,
    ) -> Result<Arc<Program>> {
        let name = text(fields, "name")?.ok_or_else(|| Error::invalid("name", "is required"))?;
        let site_url = text(fields, "site_url")?.ok_or_else(|| Error::invalid("site_url", "is required"))?;
        let settings = stored(&self.settings(account, &Settings::default(), fields, &site_url)?);
        let now = self.clock.now().0;
        let app = Arc::clone(self);
        let insert = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            if let Some(known) = made(&app) {
                return Ok(known.0);
            }
            let id = program_insert(tx, account.0, &name, &site_url, &settings, now).await?;
            let (name, site_url, settings) = (name.clone(), site_url.clone(), settings.clone());
            let row = ProgramRow {
                id,
                account_id: account.0,
                name,
                site_url,
                settings,
                created_at: now,
                closed_before: None,
            };
            let made = Program::from_row(row).ok_or(headwater_store::backend::Error::Missing)?;
            keep.keep(tx, &made).await?;
            Ok(id)
        };
        let id = self.store.money.write(insert).await?;
        self.refresh_committed().await;
        self.program_read(account, ProgramId(id))
    }

    /// Changes the fields that are given, of the program as it is when the change's turn has come.
    pub async fn program_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: ProgramId,
        fields: &Map<String, Value>,
    ) -> Result<Arc<Program>> {
        self.program_patch_saying(account, id, fields, &Map::new()).await
    }

    /// The same, where the campaign also says something else beside what it says then (`campaign::merged`).
    pub(crate) async fn program_patch_saying(
        self: &Arc<Self>,
        account: AccountId,
        id: ProgramId,
        fields: &Map<String, Value>,
        said: &Map<String, Value>,
    ) -> Result<Arc<Program>> {
        let reprices =
            ["plan", "time_zone", "auto_approve", "sources", "plan_of"].iter().any(|key| fields.contains_key(*key));
        let mark = self.next_id(self.clock.now());
        let (app, fields, said) = (Arc::clone(self), fields.clone(), said.clone());
        let update = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            let (name, site_url, settings, asks_other) = match app.program_change(account, id, &fields, &said) {
                Ok(change) => change,
                Err(refused) => return Ok(Err(refused)),
            };
            program_update(tx, account.0, id.0, &name, &site_url, &stored(&settings)).await?;
            if reprices {
                mark_program(tx, id.0, mark).await?;
            }
            if asks_other {
                upgrade_checks_of_program(tx, account.0, id.0, mark).await?;
            }
            Ok(Ok(()))
        };
        self.store.money.write(update).await??;
        self.refresh_committed().await;
        self.program_read(account, id)
    }

    /// The name, the site and the settings that a request makes of a program as it is now, and whether its members are to be looked
    /// at because it asks something else of them.
    pub(crate) fn program_change(
        &self,
        account: AccountId,
        id: ProgramId,
        fields: &Map<String, Value>,
        said: &Map<String, Value>,
    ) -> Result<(String, String, Settings, bool)> {
        let before = self.program_read(account, id)?;
        self.campaign_may_say(account, id, said)?;
        let name = text(fields, "name")?.unwrap_or_else(|| before.row.name.clone());
        let site_url = text(fields, "site_url")?.unwrap_or_else(|| before.row.site_url.clone());
        let mut settings = self.settings(account, &before.settings, fields, &site_url)?;
        settings.campaign = merged(&settings.campaign, said);
        let asks = Upgrade::of(&settings.campaign);
        let asks_other = asks.is_some() && asks != Upgrade::of(&before.settings.campaign);
        Ok((name, site_url, settings, asks_other))
    }

    /// A new token for inbound postbacks; the one before it opens nothing any more. The only time that its text is known.
    pub async fn postback_token_rotate(self: &Arc<Self>, account: AccountId, id: ProgramId) -> Result<String> {
        let text = format!("pt_{}", hex::encode(random::<20>()));
        let fields = Map::from_iter([("postback_token".to_owned(), Value::from(text.as_str()))]);
        self.program_patch(account, id, &fields).await?;
        Ok(text)
    }

    /// A program of this account.
    pub fn program_read(&self, account: AccountId, id: ProgramId) -> Result<Arc<Program>> {
        self.directory().program(account, id).cloned().ok_or(Error::NotFound("program"))
    }

    fn settings(
        &self,
        account: AccountId,
        before: &Settings,
        fields: &Map<String, Value>,
        site_url: &str,
    ) -> Result<Settings> {
        check_site_url(site_url).map_err(|message| Error::invalid("site_url", message))?;
        let known = before.to_json();
        let changes: Map<_, _> =
            fields.iter().filter(|(k, _)| !matches!(k.as_str(), "name" | "site_url")).map(own).collect();
        if let Some(unknown) = changes.keys().find(|key| !known.contains_key(*key)) {
            return Err(Error::invalid(unknown, "is not a setting of a program in this version"));
        }
        let token = changes.get("postback_token").and_then(Value::as_str).unwrap_or_default();
        if token.starts_with(HASHED) {
            return Err(Error::invalid("postback_token", format!("must not start with {HASHED}")));
        }
        let settings = before.with(&changes).map_err(|error| Error::invalid(error.key, error.message))?;
        self.plan_must_exist(account, settings.plan.as_deref())?;
        Ok(settings)
    }
}

pub(crate) fn stored(settings: &Settings) -> String {
    Value::Object(settings.to_json()).to_string()
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match fields.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(key, "must be a string that is not empty")),
    }
}
