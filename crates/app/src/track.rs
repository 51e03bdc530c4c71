//! Tracking an event: what its signals lead to, and the events read back.
//!
//! Signals are tried in their published order (`referral-api.md` §6): click, session; the client's own attribution is
//! the settlement's part. A bad signal is never an error: the next one is tried and the reason kept.

use crate::app::App;
use crate::error::{Error, Result};
use crate::key::Credential;
use crate::settle::event_of;
use headwater_domain::attribution::{Evidence, Touch};
use headwater_domain::click::token::{TokenError, Traffic};
use headwater_domain::click::visitor::ClickFlags;
use headwater_domain::event::{Event, State};
use headwater_domain::ids::{AccountId, ClickId, EventId, LinkId, PartnerId, PersonId, ProgramId, first_id_at};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::program::AttributionModel;
use headwater_domain::time::Instant;
use headwater_store::click::{ClickTouch, click_of_session, click_touch};
use headwater_store::event::{event_list, event_read};

/// The click as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClickSignal {
    /// A click token.
    Token(String),
    /// A click's number; a secret key's right alone.
    Number(i64),
}

/// What an event says of its visitor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signals {
    /// The click.
    pub click: Option<ClickSignal>,
    /// The session of the visitor's cookie.
    pub session: Option<String>,
}

impl App {
    /// What the best of these signals leads to, or why none led anywhere.
    pub async fn resolve_signals(
        &self,
        account: AccountId,
        program: ProgramId,
        signals: &Signals,
        now: Instant,
    ) -> Result<(Option<Touch>, Option<&'static str>)> {
        let mut reason = None;
        if let Some(click) = &signals.click {
            match self.touch_of_click(account, program, click).await? {
                Ok(touch) => return Ok((Some(touch), None)),
                Err(why) => reason = Some(why),
            }
        }
        if let Some(session) = &signals.session {
            match self.touch_of_session(account, program, session, now).await? {
                Some(touch) => return Ok((Some(touch), reason)),
                None => reason = reason.or(Some("unknown_session")),
            }
        }
        Ok((None, reason))
    }

    async fn touch_of_click(
        &self,
        account: AccountId,
        program: ProgramId,
        click: &ClickSignal,
    ) -> Result<Result<Touch, &'static str>> {
        let token = match click {
            ClickSignal::Token(token) => token,
            ClickSignal::Number(number) => {
                let number = *number;
                let row = self.store.clicks.read(async move |tx| click_touch(tx, account.0, number).await).await?;
                let touch = row.and_then(|row| self.genuine(account, program, &row, Evidence::Click));
                return Ok(touch.ok_or("unknown_click"));
            }
        };
        let claim = match self.clicks.keys().read(token, account) {
            Ok(claim) => claim,
            Err(TokenError::NotGenuine) => return Ok(Err("forged_click")),
            Err(TokenError::DoesNotCount) => return Ok(Err("click_does_not_count")),
            Err(TokenError::Malformed) => return Ok(Err("malformed_click")),
        };
        let link = claim.link;
        let partner = self.directory().link(account, link).map(|l| PartnerId(l.partner_id));
        let Some(partner) = partner else { return Ok(Err("unknown_link")) };
        let flags = ClickFlags::default().with_if(claim.traffic == Traffic::Advertised, ClickFlags::ADVERTISEMENT).0;
        let clicked_at = claim.at().0;
        let row = ClickTouch { id: claim.click.0, link_id: link.0, partner_id: partner.0, clicked_at, flags };
        Ok(self.genuine(account, program, &row, Evidence::Click).ok_or("foreign_click"))
    }

    async fn touch_of_session(
        &self,
        account: AccountId,
        program: ProgramId,
        session: &str,
        now: Instant,
    ) -> Result<Option<Touch>> {
        let session = session.to_ascii_lowercase();
        let Some(settings) = self.directory().program(account, program).map(|p| p.settings.clone()) else {
            return Ok(None);
        };
        let from = first_id_at(now.plus_seconds(-(settings.window_days + 90) * 86_400));
        let first = settings.attribution == AttributionModel::FirstClick;
        let found = self
            .store
            .clicks
            .read(async move |tx| click_of_session(tx, program.0, &session, from, first).await)
            .await?;
        if let Some(row) = &found
            && self.directory().link(account, LinkId(row.link_id)).is_none()
        {
            // The link was made a moment ago, and this node has not heard of it yet.
            self.refresh_committed().await;
        }
        Ok(found.and_then(|row| self.genuine(account, program, &row, Evidence::Session)))
    }

    /// A touch of this program: its link must be the account's and the program's.
    fn genuine(&self, account: AccountId, program: ProgramId, row: &ClickTouch, evidence: Evidence) -> Option<Touch> {
        let directory = self.directory();
        let link = directory.link(account, LinkId(row.link_id))?;
        (link.program_id == program.0).then_some(Touch {
            click: ClickId(row.id),
            link: LinkId(row.link_id),
            partner: PartnerId(row.partner_id),
            at: Instant(row.clicked_at),
            evidence,
            traffic: ClickFlags(row.flags).traffic(),
        })
    }

    /// Events, newest first, one more than `limit` where there are more.
    pub async fn event_list(&self, filter: EventFilter, limit: i64) -> Result<Vec<Event>> {
        let filter = filter.to_store();
        let list = async move |tx: &headwater_store::backend::Tx<'_>| {
            if filter.before_id != i64::MAX {
                // Of the caller's own programs, so that a key learns nothing of the others' events.
                let row = event_read(tx, filter.account_id, filter.before_id).await?;
                let seen = |program: i64| {
                    filter.programs.as_ref().is_none_or(|programs| programs.contains(&format!(",{program},")))
                };
                if !row.is_some_and(|row| seen(row.program_id)) {
                    return Ok(None);
                }
            }
            event_list(tx, &filter, limit).await.map(Some)
        };
        let rows = self.store.money.read(list).await?.ok_or(Error::UnknownCursor)?;
        let directory = self.directory();
        Ok(rows.iter().map(|row| event_of(row, &directory)).collect::<Result<_, _>>()?)
    }

    /// The event of a decision that was made before, where this asks for the same one; `None` where it does not.
    ///
    /// So a confirmation or a refusal can be sent again, as a caller does that has not heard the answer.
    pub async fn event_decided(
        &self,
        account: AccountId,
        event: EventId,
        state: State,
        amount: Option<Decimal>,
        currency: Option<Currency>,
    ) -> Result<Option<Event>> {
        let row = self.store.money.read(async move |tx| event_read(tx, account.0, event.0).await).await?;
        let same = row.filter(|row| {
            let stands = row.amount.as_deref().and_then(|text| Decimal::parse(text).ok());
            State::parse(&row.state) == Some(state)
                && amount.is_none_or(|amount| stands == Some(amount))
                && currency.is_none_or(|currency| row.currency.as_deref() == Some(currency.code()))
        });
        Ok(same.map(|row| event_of(&row, &self.directory())).transpose()?)
    }

    /// The program of an event of this account.
    pub async fn event_program(&self, account: AccountId, event: EventId) -> Result<Option<ProgramId>> {
        let row = self.store.money.read(async move |tx| event_read(tx, account.0, event.0).await).await?;
        Ok(row.map(|row| ProgramId(row.program_id)))
    }

    /// The program of an event: the key's own, the one that is named, that of the click, the only one that the key sees,
    /// or the account's first (`referral-api.md` §6).
    ///
    /// # Errors
    /// [`Error::Invalid`] where the key does not see it.
    pub async fn program_of_event(
        &self,
        credential: &Credential,
        named: Option<&str>,
        signals: &Signals,
    ) -> Result<ProgramId> {
        let account = credential.account;
        if let Some(bound) = credential.program {
            return Ok(bound);
        }
        let seen = |id: &ProgramId| credential.sees(*id);
        if named.is_none()
            && let Some(of_click) = self.program_of_click(account, signals).await?.filter(seen)
        {
            return Ok(of_click);
        }
        let program = match (named, &credential.programs[..]) {
            (None, [only]) => *only,
            (named, _) => self.program_named(account, named)?,
        };
        Some(program).filter(seen).ok_or_else(no_such_program)
    }

    /// The program of the link that was clicked.
    async fn program_of_click(&self, account: AccountId, signals: &Signals) -> Result<Option<ProgramId>> {
        let link = match &signals.click {
            None => return Ok(None),
            Some(ClickSignal::Token(token)) => self.clicks.keys().read(token, account).ok().map(|claim| claim.link),
            Some(ClickSignal::Number(number)) => {
                let number = *number;
                let row = self.store.clicks.read(async move |tx| click_touch(tx, account.0, number).await).await?;
                row.map(|row| LinkId(row.link_id))
            }
        };
        let directory = self.directory();
        Ok(link.and_then(|link| directory.link(account, link)).map(|link| ProgramId(link.program_id)))
    }

    /// The program that a caller names, or the account's first one.
    pub fn program_named(&self, account: AccountId, name: Option<&str>) -> Result<ProgramId> {
        let directory = self.directory();
        let found = match name {
            None => directory.default_program(account),
            Some(name) => name.parse().ok().and_then(|id| directory.program(account, ProgramId(id))),
        };
        found.map(|p| p.id).ok_or_else(no_such_program)
    }
}

fn no_such_program() -> Error {
    Error::invalid("programId", "names no program of this account")
}

/// What a list of events may be narrowed by; `None`: not narrowed.
#[derive(Debug, Clone)]
pub struct EventFilter {
    /// Whose events.
    pub account: AccountId,
    /// The programs that the caller sees; empty: all.
    pub programs: Vec<ProgramId>,
    /// Attributed to this partner.
    pub partner: Option<PartnerId>,
    /// By this link.
    pub link: Option<LinkId>,
    /// Of this client.
    pub client: Option<PersonId>,
    /// Of this type.
    pub event_type: Option<String>,
    /// Conversions, or the others.
    pub is_conversion: Option<bool>,
    /// Those that count, or the others.
    pub is_verified: Option<bool>,
    /// Happened then or later.
    pub from: Option<Instant>,
    /// Happened before.
    pub to: Option<Instant>,
    /// Only numbers below this one.
    pub before: Option<EventId>,
}

impl EventFilter {
    /// Every event of an account.
    pub fn all(account: AccountId) -> Self {
        Self {
            account,
            programs: Vec::new(),
            partner: None,
            link: None,
            client: None,
            event_type: None,
            is_conversion: None,
            is_verified: None,
            from: None,
            to: None,
            before: None,
        }
    }

    fn to_store(&self) -> headwater_store::event::EventFilter {
        let programs: Vec<_> = self.programs.iter().map(ToString::to_string).collect();
        headwater_store::event::EventFilter {
            account_id: self.account.0,
            partner_id: self.partner.map(|id| id.0),
            link_id: self.link.map(|id| id.0),
            person_id: self.client.map(|id| id.0),
            kind: self.event_type.clone(),
            is_conversion: self.is_conversion,
            is_verified: self.is_verified,
            from_at: self.from.map(|at| at.0),
            to_at: self.to.map(|at| at.0),
            before_id: self.before.map_or(i64::MAX, |id| id.0),
            programs: (!programs.is_empty()).then(|| format!(",{},", programs.join(","))),
        }
    }
}
