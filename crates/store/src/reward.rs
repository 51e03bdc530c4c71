//! Rewards and products: documents of an account, each with a number. What a reward pays stands in plans.

use crate::backend::{Result, Tx};
use crate::{counter, record, sql};

record! {
    /// A reward; `document` is JSON, `total` how many the account has of those asked for.
    pub struct RewardRow { total: i64, id: i64, document: String, is_hidden: bool, created_at: i64 }
}
record! {
    /// A product; `document` is JSON, `total` how many the account has.
    pub struct ProductRow { total: i64, id: i64, document: String, created_at: i64 }
}

/// Adds a reward; gives its number.
pub async fn reward_insert(tx: &Tx<'_>, account_id: i64, document: &str, created_at: i64) -> Result<i64> {
    let id = counter::next(tx, "reward").await?;
    let statement =
        sql!("INSERT INTO reward (id, account_id, document, is_hidden, created_at) VALUES ($1, $2, $3, FALSE, $4)");
    tx.execute(statement, &[&id, &account_id, &document, &created_at]).await?;
    Ok(id)
}

/// Replaces what a reward says, and whether it is hidden; `false` where it is not there.
pub async fn reward_update(tx: &Tx<'_>, account_id: i64, id: i64, document: &str, is_hidden: bool) -> Result<bool> {
    let statement = sql!("UPDATE reward SET document = $3, is_hidden = $4 WHERE account_id = $1 AND id = $2");
    Ok(tx.execute(statement, &[&account_id, &id, &document, &is_hidden]).await? > 0)
}

/// Rewards, newest first: one by its number also where it is hidden, else those that are not.
pub async fn reward_list(
    tx: &Tx<'_>,
    account_id: i64,
    id: Option<i64>,
    limit: i64,
    offset: i64,
) -> Result<Vec<RewardRow>> {
    let statement = sql!(
        "WITH fits AS (SELECT id, document, is_hidden, created_at FROM reward WHERE account_id = $1 \
         AND ((CAST($2 AS BIGINT) IS NULL AND NOT is_hidden) OR id = $2)) \
         SELECT (SELECT COUNT(*) FROM fits), id, document, is_hidden, created_at FROM fits ORDER BY id DESC LIMIT $3 OFFSET $4"
    );
    tx.all(statement, &[&account_id, &id, &limit, &offset]).await
}

record! {
    /// What a reward says; `document` is JSON.
    pub struct RewardDocument { id: i64, document: String }
}

/// What rewards of these numbers say, hidden ones too; numbers stand between commas: `,1,2,`.
pub async fn reward_documents(tx: &Tx<'_>, account_id: i64, ids: &str) -> Result<Vec<RewardDocument>> {
    let statement = sql!(
        "SELECT id, document FROM reward WHERE account_id = $1 AND CAST($2 AS TEXT) LIKE '%,' || CAST(id AS TEXT) || ',%' \
         ORDER BY id"
    );
    tx.all(statement, &[&account_id, &ids]).await
}

/// Adds a product; gives its number.
pub async fn product_insert(tx: &Tx<'_>, account_id: i64, document: &str, created_at: i64) -> Result<i64> {
    let id = counter::next(tx, "product").await?;
    let statement = sql!("INSERT INTO product (id, account_id, document, created_at) VALUES ($1, $2, $3, $4)");
    tx.execute(statement, &[&id, &account_id, &document, &created_at]).await?;
    Ok(id)
}

/// What the other products of an account say. Whoever adds one holds the counter of products, so none is added meanwhile.
pub async fn product_documents_beside(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Vec<(String,)>> {
    tx.all(sql!("SELECT document FROM product WHERE account_id = $1 AND id <> $2 ORDER BY id"), &[&account_id, &id])
        .await
}

/// Replaces what a product says.
pub async fn product_update(tx: &Tx<'_>, account_id: i64, id: i64, document: &str) -> Result<()> {
    let statement = sql!("UPDATE product SET document = $3 WHERE account_id = $1 AND id = $2");
    tx.execute(statement, &[&account_id, &id, &document]).await.map(drop)
}

/// Deletes a product.
pub async fn product_delete(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<()> {
    let statement = sql!("DELETE FROM product WHERE account_id = $1 AND id = $2");
    tx.execute(statement, &[&account_id, &id]).await.map(drop)
}

/// Products, newest first.
pub async fn product_list(tx: &Tx<'_>, account_id: i64, limit: i64, offset: i64) -> Result<Vec<ProductRow>> {
    let statement = sql!(
        "WITH fits AS (SELECT id, document, created_at FROM product WHERE account_id = $1) \
         SELECT (SELECT COUNT(*) FROM fits), id, document, created_at FROM fits ORDER BY id DESC LIMIT $2 OFFSET $3"
    );
    tx.all(statement, &[&account_id, &limit, &offset]).await
}
