//! Click rows on both engines: written twice they are there once, and every list is the same newest-first walk.

use headwater_store::click::{
    ClickCounts, ClickFilter, NewClick, click_counts, click_insert, click_list, click_of_session, click_touch,
};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! { lists_and_counts_agree_with_the_rows }

type Holds = Box<dyn Fn(&NewClick) -> bool>;

fn row(id: i64) -> NewClick {
    NewClick {
        id,
        account_id: 1 + id % 2,
        program_id: 1000 + id % 2,
        partner_id: Some(id % 4),
        link_id: (id % 11 != 0).then_some(id % 8),
        session: format!("s{}", id % 10),
        ip: Some("203.0.113.9".into()),
        country: (id % 3 == 0).then(|| "PT".into()),
        region: None,
        city: None,
        device_type: "desktop".into(),
        browser: Some("Firefox".into()),
        os: None,
        user_agent: Some("a \"quoted\" agent \u{1f600}".into()),
        referer: None,
        utm: "{}".into(),
        landing_page: Some("/en".into()),
        lang: None,
        params: "{\"sub1\":\"x\"}".into(),
        reject_reason: None,
        flags: 3,
        counts: id % 5 != 0,
        clicked_at: id * 1000,
    }
}

async fn lists_and_counts_agree_with_the_rows(fresh: TestStore) {
    let rows: Vec<NewClick> = (1..=500).map(row).collect();
    for _ in 0..2 {
        let rows = rows.clone();
        fresh.store.clicks.write(async move |tx| click_insert(tx, &rows).await).await.expect("inserts");
    }
    let all = ClickFilter { account_id: 2, from_id: 0, before_id: i64::MAX, ..ClickFilter::default() };
    let cases: Vec<(ClickFilter, Holds)> = vec![
        (all.clone(), Box::new(|_| true)),
        (ClickFilter { before_id: 300, from_id: 100, ..all.clone() }, Box::new(|r| (100..300).contains(&r.id))),
        (ClickFilter { links: Some(vec![1, 3]), ..all.clone() }, Box::new(|r| matches!(r.link_id, Some(1 | 3)))),
        (ClickFilter { links: Some(vec![]), ..all.clone() }, Box::new(|_| false)),
        (ClickFilter { session: Some("s7".into()), ..all.clone() }, Box::new(|r| r.session == "s7")),
        (ClickFilter { country: Some("PT".into()), ..all.clone() }, Box::new(|r| r.country.is_some())),
        (ClickFilter { programs: Some(vec![1001, 7]), ..all.clone() }, Box::new(|_| true)),
        (ClickFilter { programs: Some(vec![100]), ..all.clone() }, Box::new(|_| false)),
    ];
    for (filter, holds) in cases {
        let wanted: Vec<i64> =
            rows.iter().rev().filter(|r| r.account_id == 2 && holds(r)).map(|r| r.id).take(40).collect();
        let asked = filter.clone();
        let got = fresh.store.clicks.read(async move |tx| click_list(tx, &asked, 40).await).await.expect("lists");
        assert_eq!(got.iter().map(|r| r.id).collect::<Vec<_>>(), wanted, "{filter:?}");
    }

    let (counts, none, touch, first, last) = fresh
        .store
        .clicks
        .read(async |tx| {
            Ok((
                click_counts(tx, 2, 3, 100).await?,
                click_counts(tx, 1, 3, 100).await?,
                (click_touch(tx, 2, 7).await?, click_touch(tx, 1, 7).await?, click_touch(tx, 2, 5).await?),
                click_of_session(tx, 1001, "s7", 8, true).await?,
                click_of_session(tx, 1001, "s7", 8, false).await?,
            ))
        })
        .await
        .expect("reads");
    let counted: Vec<&NewClick> = rows.iter().filter(|r| r.link_id == Some(3) && r.id >= 100 && r.counts).collect();
    let sessions: std::collections::BTreeSet<_> = counted.iter().map(|r| &r.session).collect();
    assert_eq!(counts.clicks, i64::try_from(counted.len()).expect("few"));
    assert_eq!(counts.unique_clicks, i64::try_from(sessions.len()).expect("few"));
    assert_eq!(none, ClickCounts::default());
    assert_eq!(touch.0.map(|t| (t.link_id, t.partner_id, t.clicked_at)), Some((7, 3, 7000)));
    assert_eq!((touch.1, touch.2), (None, None), "another account's click, and one that does not count");
    assert_eq!((first.map(|t| t.id), last.map(|t| t.id)), (Some(17), Some(497)));
}
