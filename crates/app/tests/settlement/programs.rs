//! Which program an event without `programId` belongs to.

use crate::fixture::{Fixture, NOW, fixture};
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::key::{Credential, KeyKind, KeyRequest};
use headwater_app::track::{ClickSignal, Signals};
use headwater_domain::click::token::Traffic;
use headwater_domain::ids::{ClickId, LinkId, ProgramId};
use headwater_store::link::{NewLink, link_insert};
use headwater_store::tenant::program_insert;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use std::sync::Arc;

on_both_stores! { an_event_belongs_to_the_program_of_its_click_or_key }

/// A second program with a link of the same partner.
async fn second_program(fixture: &Fixture) -> (ProgramId, LinkId) {
    let (account_id, partner_id) = (fixture.account.0, fixture.partner.0);
    let made = fixture.store.store.money.write(async move |tx| {
        let program_id = program_insert(tx, account_id, "q", "https://www.broker.example", "{}", 0).await?;
        let new = NewLink {
            account_id,
            program_id,
            partner_id,
            landing_page: "/".into(),
            encrypt_partner_id: false,
            region_routing: false,
            lang: None,
            utm: "{}".into(),
            tracking_id: "t".into(),
            metadata: "{}".into(),
            is_default: false,
            created_at: 0,
        };
        Ok((program_id, link_insert(tx, &new).await?.expect("no default link")))
    });
    let (program, link) = made.await.expect("adds");
    fixture.app.refresh().await.expect("refreshes");
    (ProgramId(program), LinkId(link))
}

async fn key(fixture: &Fixture, programs: &[ProgramId]) -> Arc<Credential> {
    let request = KeyRequest {
        kind: KeyKind::Secret,
        program: None,
        partner: None,
        origins: Vec::new(),
        programs: programs.to_vec(),
        permissions: Vec::new(),
        expires_at: None,
    };
    let issued = fixture.app.key_issue(fixture.account, request, Keep::nothing()).await.expect("issues");
    fixture.app.authenticate(&issued.text).expect("genuine")
}

async fn an_event_belongs_to_the_program_of_its_click_or_key(store: TestStore) {
    let fixture = fixture(store).await;
    let (first, (second, link)) = (fixture.program, second_program(&fixture).await);
    let token = fixture.app.clicks.keys().mint(fixture.account, ClickId(5), Some(link), NOW, Traffic::Open);
    let clicked = Signals { click: Some(ClickSignal::Token(token)), session: None };
    let forged = Signals { click: Some(ClickSignal::Token("0".repeat(40))), session: None };
    let (none, everywhere) = (Signals::default(), key(&fixture, &[]).await);
    let (of_first, of_second) = (key(&fixture, &[first]).await, key(&fixture, &[second]).await);
    let [first_name, second_name] = [first, second].map(|program| program.to_string());
    let cases = [
        (&everywhere, None, &none, Some(first)),
        (&everywhere, None, &clicked, Some(second)),
        (&everywhere, None, &forged, Some(first)),
        (&everywhere, Some(&first_name), &clicked, Some(first)),
        (&everywhere, Some(&second_name), &none, Some(second)),
        (&of_second, None, &none, Some(second)),
        (&of_second, None, &clicked, Some(second)),
        (&of_first, None, &clicked, Some(first)),
        (&of_first, Some(&second_name), &none, None),
    ];
    for (number, (key, named, signals, expected)) in cases.into_iter().enumerate() {
        let found = fixture.app.program_of_event(key, named.map(String::as_str), signals).await;
        match expected {
            Some(program) => assert_eq!(found.ok(), Some(program), "case {number}"),
            None => assert!(matches!(found, Err(Error::Invalid { .. })), "case {number}"),
        }
    }
}
