//! Records of brokers: who and what they name, and what binds persons, accounts and facts together anew.
//!
//! Ingestion into a program holds the program's lock, so that what a record names is found or made once. Events hold only
//! their clients' locks. Invariant: a merged person is a name of a person that is not merged.

use crate::backend::{Result, Tx};
use crate::circle::persons_join;
use crate::outcome::SUPERSEDED_AT;
use crate::settlement::Number;
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A customer by the caller's id.
    pub struct ExternalId { program_id: i64 = "int8", external_id: String = "text" }
}
record! {
    /// An account as it is stored.
    #[derive(PartialEq, Eq)]
    pub struct AccountRow {
        id: i64, program_id: i64, person_id: i64, external_id: Option<String>, is_placeholder: bool, is_registered: bool,
        revision: Option<i64>, name: Option<String>, email: Option<String>, country: Option<String>, account_type: Option<String>,
        campaign: Option<String>, attributes: Option<String>, registered_at: i64,
    }
}
batch! {
    /// A fact by its key.
    pub struct FactName { program_id: i64 = "int8", source: String = "text", kind: String = "text", fact_key: String = "text" }
}
record! {
    /// A revision of a fact that is named: whose it is, and all that it says.
    pub struct NamedFactRow {
        id: i64, program_id: i64, person_id: i64, customer_id: i64, source: String, kind: String, fact_key: String,
        revision: Option<i64>, at: i64, body: String, data: Option<String>,
    }
}
batch! {
    /// An account after this settlement.
    pub struct AccountPut {
        id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", person_id: i64 = "int8", external_id: Option<String> = "text",
        is_placeholder: bool = "bool", is_registered: bool = "bool", revision: Option<i64> = "int8", name: Option<String> = "text",
        email: Option<String> = "text", country: Option<String> = "text", account_type: Option<String> = "text",
        campaign: Option<String> = "text", attributes: Option<String> = "text", registered_at: i64 = "int8", created_at: i64 = "int8",
    }
}
batch! {
    /// A person that turned out to be another one.
    pub struct Merge { from_id: i64 = "int8", into_id: i64 = "int8" }
}
batch! {
    /// An account of a person that turned out to be another account of it.
    pub struct Absorbed { person_id: i64 = "int8", from_id: i64 = "int8", into_id: i64 = "int8" }
}
batch! {
    /// A fact whose revisions belong to this person now.
    pub struct FactMove {
        program_id: i64 = "int8", source: String = "text", kind: String = "text", fact_key: String = "text", person_id: i64 = "int8",
    }
}

/// The persons of the customers with these ids, where they are known.
pub async fn persons_by_external_id(tx: &Tx<'_>, rows: &[ExternalId]) -> Result<Vec<(i64, String, i64)>> {
    let statement = batch_sql!(
        ExternalId,
        0,
        "SELECT c.program_id, c.external_id, c.person_id FROM {batch} JOIN customer c \
         ON c.program_id = batch.program_id AND c.external_id = batch.external_id WHERE c.external_id IS NOT NULL"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Every account of these persons, in full.
pub async fn accounts_of_persons(tx: &Tx<'_>, persons: &[Number]) -> Result<Vec<AccountRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT c.id, c.program_id, c.person_id, c.external_id, c.is_placeholder, c.is_registered, c.revision, c.name, c.email, \
         c.country, c.account_type, c.campaign, c.attributes, c.registered_at \
         FROM {batch} JOIN customer c ON c.person_id = batch.id ORDER BY c.id"
    );
    tx.batch_all(statement, &[], persons).await
}

/// The revisions of the facts with these keys, in no order; of trading the standing ones alone.
pub async fn facts_named(tx: &Tx<'_>, names: &[FactName]) -> Result<Vec<NamedFactRow>> {
    let statement = batch_sql!(
        FactName,
        1,
        "SELECT f.id, f.program_id, f.person_id, f.customer_id, f.source, f.type, f.fact_key, f.revision, f.at, f.body, f.data \
         FROM {batch} JOIN fact f ON f.program_id = batch.program_id AND f.fact_key = batch.fact_key AND f.type = batch.kind \
         AND f.source = batch.source WHERE f.source <> 'events' AND (f.trading_at IS NULL OR f.trading_at > $1)"
    );
    tx.batch_all(statement, &[&SUPERSEDED_AT], names).await
}

batch! {
    /// A sale of a program, by its key.
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    pub struct SaleKey { program_id: i64 = "int8", fact_key: String = "text" }
}

/// The persons with whom these sales, or refunds of them, are kept.
pub async fn persons_of_sales(tx: &Tx<'_>, sales: &[SaleKey]) -> Result<Vec<i64>> {
    let statement = batch_sql!(
        SaleKey,
        0,
        "SELECT f.person_id FROM {batch} JOIN fact f ON f.program_id = batch.program_id AND f.fact_key = batch.fact_key \
         AND f.type = 'sale' WHERE f.source <> 'events' \
         UNION SELECT f.person_id FROM {batch} JOIN fact f ON f.program_id = batch.program_id AND f.of_sale = batch.fact_key \
         WHERE f.of_sale IS NOT NULL"
    );
    let persons: Vec<(i64,)> = tx.batch_all(statement, &[], sales).await?;
    Ok(persons.into_iter().map(|(person,)| person).collect())
}

/// Whether a sale of this key was reported to a program, in whatever way but as an event.
pub async fn sale_is_known(tx: &Tx<'_>, account_id: i64, sale: &SaleKey) -> Result<bool> {
    let statement = sql!(
        "SELECT f.id FROM fact f WHERE f.program_id = $2 AND f.fact_key = $3 AND f.type = 'sale' AND f.source <> 'events' \
         AND f.account_id = $1 LIMIT 1"
    );
    let known: Option<(i64,)> = tx.maybe(statement, &[&account_id, &sale.program_id, &sale.fact_key]).await?;
    Ok(known.is_some())
}

/// Persons become names of others, which get everything that was theirs. To be done before anything else is written.
pub async fn persons_merge(tx: &Tx<'_>, merges: &[Merge]) -> Result<()> {
    if merges.is_empty() {
        return Ok(());
    }
    for statement in [
        batch_sql!(
            Merge,
            0,
            "UPDATE person SET merged_into = batch.into_id FROM {batch} WHERE person.id = batch.from_id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE person SET merged_into = batch.into_id FROM {batch} \
             WHERE person.merged_into = batch.from_id AND person.merged_into IS NOT NULL"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE customer SET person_id = batch.into_id FROM {batch} WHERE customer.person_id = batch.from_id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE attribution SET person_id = batch.into_id FROM {batch} WHERE attribution.person_id = batch.from_id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE event SET person_id = batch.into_id FROM {batch} WHERE event.person_id = batch.from_id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE fact SET person_id = batch.into_id FROM {batch} WHERE fact.person_id = batch.from_id"
        ),
        // Every commission of a cell is reached from its last one, each by what it corrects.
        batch_sql!(
            Merge,
            0,
            "WITH RECURSIVE chain (id, into_id) AS (SELECT cell.last_commission_id, batch.into_id FROM {batch} CROSS JOIN cell \
             WHERE cell.person_id = batch.from_id UNION SELECT c.corrects, chain.into_id FROM chain \
             JOIN commission c ON c.id = chain.id WHERE c.corrects IS NOT NULL) \
             UPDATE commission SET person_id = chain.into_id FROM chain WHERE commission.id = chain.id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE cell SET person_id = batch.into_id FROM {batch} WHERE cell.person_id = batch.from_id"
        ),
        batch_sql!(
            Merge,
            0,
            "UPDATE held SET person_id = batch.into_id FROM {batch} WHERE held.person_id = batch.from_id"
        ),
    ] {
        tx.batch(statement, &[], merges).await?;
    }
    persons_join(tx, merges).await
}

/// Makes accounts, and changes those that are there.
pub async fn accounts_put(tx: &Tx<'_>, rows: &[AccountPut]) -> Result<()> {
    let statement = batch_sql!(
        AccountPut,
        0,
        "INSERT INTO customer (id, account_id, program_id, person_id, external_id, is_placeholder, is_registered, revision, name, \
         email, country, account_type, campaign, attributes, registered_at, created_at) \
         SELECT id, account_id, program_id, person_id, external_id, is_placeholder, is_registered, revision, name, email, country, \
         account_type, campaign, attributes, registered_at, created_at FROM {batch} WHERE true \
         ON CONFLICT (id) DO UPDATE SET person_id = excluded.person_id, external_id = excluded.external_id, \
         is_placeholder = excluded.is_placeholder, is_registered = excluded.is_registered, revision = excluded.revision, \
         name = excluded.name, email = excluded.email, country = excluded.country, account_type = excluded.account_type, \
         campaign = excluded.campaign, attributes = excluded.attributes, registered_at = excluded.registered_at"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// Accounts are no more; their facts are those of the accounts that they turned out to be.
pub async fn accounts_absorb(tx: &Tx<'_>, absorbed: &[Absorbed]) -> Result<()> {
    if absorbed.is_empty() {
        return Ok(());
    }
    for statement in [
        batch_sql!(
            Absorbed,
            0,
            "UPDATE fact SET customer_id = batch.into_id FROM {batch} \
             WHERE fact.person_id = batch.person_id AND fact.customer_id = batch.from_id"
        ),
        batch_sql!(
            Absorbed,
            0,
            "UPDATE commission SET waits_for = batch.into_id FROM {batch} \
             WHERE commission.waits_for = batch.from_id AND commission.waits_for IS NOT NULL \
             AND commission.account_id = (SELECT p.account_id FROM person p WHERE p.id = batch.person_id)"
        ),
        batch_sql!(
            Absorbed,
            0,
            "DELETE FROM attribution WHERE (person_id, customer_id) IN (SELECT person_id, from_id FROM {batch} WHERE true)"
        ),
        batch_sql!(Absorbed, 0, "DELETE FROM customer WHERE id IN (SELECT from_id FROM {batch} WHERE true)"),
    ] {
        tx.batch(statement, &[], absorbed).await?;
    }
    Ok(())
}

/// All revisions of these facts belong to these persons.
pub async fn facts_move(tx: &Tx<'_>, moves: &[FactMove]) -> Result<()> {
    let statement = batch_sql!(
        FactMove,
        0,
        "UPDATE fact SET person_id = batch.person_id FROM {batch} WHERE fact.program_id = batch.program_id \
         AND fact.fact_key = batch.fact_key AND fact.type = batch.kind AND fact.source = batch.source AND fact.source <> 'events'"
    );
    tx.batch(statement, &[], moves).await?;
    Ok(())
}
