//! Partners and what is dated about them: writing. Reading is in `directory`.

use crate::backend::{Result, Tx};
use crate::membership::membership_ensure;
use crate::{counter, sql};

/// A partner to add; `rates` and `metadata` are JSON.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct NewPartner {
    pub account_id: i64,
    /// The caller's id; `None`: the number in decimal.
    pub external_id: Option<String>,
    pub name: String,
    pub email: Option<String>,
    pub program_id: Option<i64>,
    pub parent_id: Option<i64>,
    pub plan: Option<String>,
    pub rates: String,
    pub metadata: String,
    pub created_at: i64,
}

/// Adds a partner; `None` where the account has one of this id already.
pub async fn partner_insert(tx: &Tx<'_>, new: &NewPartner) -> Result<Option<i64>> {
    let version = counter::next_version(tx).await?;
    let id = counter::next(tx, "partner").await?;
    let external_id = new.external_id.clone().unwrap_or_else(|| id.to_string());
    let inserted = tx
        .execute(
            sql!(
                "INSERT INTO partner (id, account_id, external_id, name, email, program_id, plan, rates, metadata, created_at, version) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (account_id, external_id) DO NOTHING"
            ),
            &[
                &id, &new.account_id, &external_id, &new.name, &new.email, &new.program_id, &new.plan, &new.rates,
                &new.metadata, &new.created_at, &version,
            ],
        )
        .await?;
    if inserted == 0 {
        return Ok(None);
    }
    if let Some(parent_id) = new.parent_id {
        // From the beginning: a late fact of its clients is priced by the tree that the partner came with.
        let statement =
            sql!("INSERT INTO partner_parent (partner_id, from_at, parent_id, version) VALUES ($1, 0, $2, $3)");
        tx.execute(statement, &[&id, &parent_id, &version]).await?;
    }
    if let Some(program_id) = new.program_id {
        membership_ensure(tx, new.account_id, program_id, id, new.created_at).await?;
    }
    Ok(Some(id))
}

/// Replaces what of a partner is not dated.
pub async fn partner_update(tx: &Tx<'_>, id: i64, new: &NewPartner) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE partner SET name = $3, email = $4, program_id = $5, plan = $6, rates = $7, metadata = $8, version = $9 \
         WHERE account_id = $1 AND id = $2"
    );
    tx.execute(
        statement,
        &[&new.account_id, &id, &new.name, &new.email, &new.program_id, &new.plan, &new.rates, &new.metadata, &version],
    )
    .await?;
    match new.program_id {
        Some(program_id) => membership_ensure(tx, new.account_id, program_id, id, new.created_at).await,
        None => Ok(()),
    }
}

/// Suspends or restores a partner from an instant on.
pub async fn partner_status_put(tx: &Tx<'_>, partner_id: i64, from_at: i64, suspended: bool) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO partner_status (partner_id, from_at, suspended, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (partner_id, from_at) DO UPDATE SET suspended = excluded.suspended, version = excluded.version"
    );
    tx.execute(statement, &[&partner_id, &from_at, &suspended, &version]).await?;
    Ok(())
}

/// Puts a partner under another parent, or under none, from an instant on.
pub async fn partner_parent_put(tx: &Tx<'_>, partner_id: i64, from_at: i64, parent_id: Option<i64>) -> Result<()> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "INSERT INTO partner_parent (partner_id, from_at, parent_id, version) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (partner_id, from_at) DO UPDATE SET parent_id = excluded.parent_id, version = excluded.version"
    );
    tx.execute(statement, &[&partner_id, &from_at, &parent_id, &version]).await?;
    Ok(())
}
