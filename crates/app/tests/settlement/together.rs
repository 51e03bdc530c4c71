//! Changes of configuration that come at the same moment: each is worked out on what the one before left.

use crate::fixture::{Fixture, fixture};
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_domain::time::Instant;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Map, json};

on_both_stores! { two_moves_at_once_make_no_cycle, two_changes_at_once_both_stand }

async fn second(fixture: &Fixture) {
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates");
}

async fn two_moves_at_once_make_no_cycle(store: TestStore) {
    let fixture = fixture(store).await;
    second(&fixture).await;
    for round in 1..=10 {
        let at = Some(Instant::from_seconds(round));
        let one = fixture.app.partner_move(fixture.account, "ib1", Some("ib2"), at);
        let other = fixture.app.partner_move(fixture.account, "ib2", Some("ib1"), at);
        let (one, other) = tokio::join!(one, other);
        let refused = [one.err(), other.err()].into_iter().flatten().collect::<Vec<_>>();
        assert!(matches!(refused[..], [Error::Conflict { code: "cycle", .. }]), "round {round}: {refused:?}");
        let (one, other) = tokio::join!(
            fixture.app.partner_move(fixture.account, "ib1", None, at),
            fixture.app.partner_move(fixture.account, "ib2", None, at)
        );
        one.expect("goes");
        other.expect("goes");
    }
}

async fn two_changes_at_once_both_stand(store: TestStore) {
    let fixture = fixture(store).await;
    let renamed = PartnerRequest { name: Some("Renamed".into()), ..PartnerRequest::default() };
    let written = PartnerRequest { email: Some(Some("one@example.org".into())), ..PartnerRequest::default() };
    let of = |key: &str, value: serde_json::Value| Map::from_iter([(key.to_owned(), value)]);
    let (days, minimum) = (of("window_days", json!(7)), of("payout_minimum", json!("50")));
    let (renamed, written, days, minimum) = tokio::join!(
        fixture.app.partner_patch(fixture.account, "ib1", renamed),
        fixture.app.partner_patch(fixture.account, "ib1", written),
        fixture.app.program_patch(fixture.account, fixture.program, &days),
        fixture.app.program_patch(fixture.account, fixture.program, &minimum)
    );
    drop((renamed.expect("changes"), written.expect("changes"), days.expect("changes"), minimum.expect("changes")));
    let partner = fixture.app.partner_read(fixture.account, "ib1").expect("is there");
    assert_eq!((partner.row.name.as_str(), partner.row.email.as_deref()), ("Renamed", Some("one@example.org")));
    let program = fixture.app.program_read(fixture.account, fixture.program).expect("is there");
    assert_eq!(program.settings.window_days, 7);
    assert!(program.settings.payout_minimum.is_some());
}
