//! Links: writing them, and the counts of their events. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::membership::membership_ensure;
use crate::{counter, record, sql};

/// A link to add; `utm` and `metadata` are JSON.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct NewLink {
    pub account_id: i64,
    pub program_id: i64,
    pub partner_id: i64,
    pub landing_page: String,
    pub encrypt_partner_id: bool,
    pub region_routing: bool,
    pub lang: Option<String>,
    pub utm: String,
    pub tracking_id: String,
    pub metadata: String,
    pub is_default: bool,
    pub created_at: i64,
}

record! {
    /// Events of one type that came by a link.
    pub struct LinkEventCount { event_type: String, events: i64, conversions: i64 }
}

/// Adds a link; `None` where it is a partner's default link in a program and there is one.
pub async fn link_insert(tx: &Tx<'_>, new: &NewLink) -> Result<Option<i64>> {
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "link").await?;
    let inserted = tx
        .execute(
            sql!(
                "INSERT INTO link (id, account_id, program_id, partner_id, landing_page, encrypt_partner_id, region_routing, lang, \
                 utm, tracking_id, status, metadata, is_default, created_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'active', $11, $12, $13, $14) ON CONFLICT DO NOTHING"
            ),
            &[
                &id, &new.account_id, &new.program_id, &new.partner_id, &new.landing_page, &new.encrypt_partner_id,
                &new.region_routing, &new.lang, &new.utm, &new.tracking_id, &new.metadata, &new.is_default,
                &new.created_at, &version,
            ],
        )
        .await?;
    membership_ensure(tx, new.account_id, new.program_id, new.partner_id, new.created_at).await?;
    Ok((inserted > 0).then_some(id))
}

/// Changes a link's status and metadata; `None` leaves as it is. Gives whether it was there.
pub async fn link_update(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    status: Option<&str>,
    metadata: Option<&str>,
) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE link SET status = COALESCE(CAST($3 AS TEXT), status), metadata = COALESCE(CAST($4 AS TEXT), metadata), \
         version = $5 WHERE account_id = $1 AND id = $2"
    );
    Ok(tx.execute(statement, &[&account_id, &id, &status, &metadata, &version]).await? > 0)
}

/// Verified events of a link by type, from `from_id` on.
pub async fn link_event_counts(
    tx: &Tx<'_>,
    account_id: i64,
    link_id: i64,
    from_id: i64,
) -> Result<Vec<LinkEventCount>> {
    let statement = sql!(
        "SELECT type, COUNT(*), CAST(SUM(CASE WHEN is_conversion THEN 1 ELSE 0 END) AS BIGINT) FROM event \
         WHERE id >= $1 AND account_id = $2 AND link_id = $3 GROUP BY type ORDER BY type"
    );
    tx.all(statement, &[&from_id, &account_id, &link_id]).await
}
