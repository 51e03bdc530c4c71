//! Customers, the persons behind them and their bindings: reading, binding by hand, and forgetting. Settlements write the
//! rest (`ingest`, `outcome`).

use crate::backend::{Result, Tx};
use crate::circle::{PersonPaysTo, person_rebind, persons_pay};
use crate::{record, sql};

record! {
    /// The person behind a customer's number, or of that number.
    pub struct PersonOfCustomer {
        id: i64, program_id: i64, email_key: String, name: Option<String>, event_types: String, qualified_at: Option<i64>, created_at: i64,
        is_erased: bool,
    }
}
record! {
    /// An account of a person.
    pub struct CustomerAccountRow { id: i64, external_id: Option<String>, country: Option<String>, account_type: Option<String>, registered_at: i64 }
}
record! {
    /// A binding with its evidence.
    pub struct BindingRow {
        from_at: i64, partner_id: i64, link_id: Option<i64>, click_id: Option<i64>, clicked_at: Option<i64>, evidence: String,
        reason: Option<String>, recorded_at: i64,
    }
}

/// The person of this number, or of the customer of this number.
pub async fn person_of_customer(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<PersonOfCustomer>> {
    let statement = sql!(
        "SELECT id, program_id, CASE WHEN email_key LIKE ' %' THEN COALESCE((SELECT c.email FROM customer c \
         WHERE c.person_id = person.id AND c.email IS NOT NULL ORDER BY c.registered_at, c.id LIMIT 1), '') ELSE email_key END, name, event_types, qualified_at, created_at, \
         email_key LIKE ' erased:%' FROM person WHERE account_id = $1 \
         AND id = COALESCE((SELECT person_id FROM customer WHERE id = $2 AND account_id = $1), \
         (SELECT merged_into FROM person WHERE id = $2 AND account_id = $1), $2)"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}

/// The customer with this external id in any program of the account, the oldest where several programs know one.
pub async fn customer_by_external_id(tx: &Tx<'_>, account_id: i64, external_id: &str) -> Result<Option<i64>> {
    let statement =
        sql!("SELECT id FROM customer WHERE account_id = $1 AND external_id = $2 ORDER BY created_at, id LIMIT 1");
    let found: Option<(i64,)> = tx.maybe(statement, &[&account_id, &external_id]).await?;
    Ok(found.map(|(id,)| id))
}

/// The accounts of a person, oldest first.
pub async fn customers_of_person(tx: &Tx<'_>, account_id: i64, person_id: i64) -> Result<Vec<CustomerAccountRow>> {
    let statement = sql!(
        "SELECT id, external_id, country, account_type, registered_at FROM customer \
         WHERE person_id = $2 AND account_id = $1 ORDER BY registered_at, id"
    );
    tx.all(statement, &[&account_id, &person_id]).await
}

/// The bindings of a person, oldest first.
pub async fn bindings_of_person(tx: &Tx<'_>, account_id: i64, person_id: i64) -> Result<Vec<BindingRow>> {
    let statement = sql!(
        "SELECT DISTINCT from_at, partner_id, link_id, click_id, clicked_at, evidence, reason, recorded_at FROM attribution \
         WHERE person_id = $2 AND account_id = $1 ORDER BY from_at"
    );
    tx.all(statement, &[&account_id, &person_id]).await
}

/// Binds the account of this number, or every account of the person of this number, from an instant on; gives how many were
/// not bound so.
pub async fn attribution_put(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    from_at: i64,
    partner_id: i64,
    reason: &str,
    recorded_at: i64,
) -> Result<u64> {
    let statement = sql!(
        "INSERT INTO attribution (person_id, customer_id, from_at, account_id, partner_id, evidence, reason, recorded_at) \
         SELECT c.person_id, c.id, CAST($3 AS BIGINT), c.account_id, CAST($4 AS BIGINT), 'operator', CAST($5 AS TEXT), CAST($6 AS BIGINT) \
         FROM customer c WHERE c.account_id = $1 \
         AND (c.id = $2 OR (c.person_id = $2 AND NOT EXISTS (SELECT 1 FROM customer k WHERE k.id = $2))) \
         ON CONFLICT (person_id, customer_id, from_at) DO UPDATE SET partner_id = excluded.partner_id, link_id = NULL, \
         click_id = NULL, clicked_at = NULL, evidence = excluded.evidence, reason = excluded.reason, recorded_at = excluded.recorded_at, \
         splits = CASE WHEN attribution.partner_id = excluded.partner_id THEN attribution.splits END \
         WHERE attribution.partner_id <> excluded.partner_id OR attribution.evidence <> excluded.evidence \
         OR attribution.reason IS DISTINCT FROM excluded.reason"
    );
    let bound = tx.execute(statement, &[&account_id, &id, &from_at, &partner_id, &reason, &recorded_at]).await?;
    person_rebind(tx, account_id, id).await?;
    Ok(bound)
}

/// Binds the account of this number from the beginning, whatever it was bound to since; gives how many bindings that changes. Who
/// had it is noted as having lost it. What it did in another program before it came stays there.
pub async fn attribution_take_over(
    tx: &Tx<'_>,
    account_id: i64,
    customer_id: i64,
    partner_id: i64,
    reason: &str,
    recorded_at: i64,
) -> Result<u64> {
    let lost = sql!(
        "INSERT INTO referral_lost (customer_id, partner_id, account_id, lost_at) \
         SELECT DISTINCT a.customer_id, a.partner_id, a.account_id, CAST($4 AS BIGINT) FROM attribution a \
         WHERE a.account_id = $1 AND a.customer_id = $2 AND a.partner_id <> $3 \
         ON CONFLICT (customer_id, partner_id) DO UPDATE SET lost_at = excluded.lost_at"
    );
    tx.execute(lost, &[&account_id, &customer_id, &partner_id, &recorded_at]).await?;
    let regained = sql!("DELETE FROM referral_lost WHERE account_id = $1 AND customer_id = $2 AND partner_id = $3");
    tx.execute(regained, &[&account_id, &customer_id, &partner_id]).await?;
    let statement = sql!(
        "UPDATE attribution SET partner_id = $3, link_id = NULL, click_id = NULL, clicked_at = NULL, evidence = 'operator', \
         reason = $4, recorded_at = $5, splits = NULL WHERE account_id = $1 AND customer_id = $2 AND partner_id <> $3"
    );
    let taken = tx.execute(statement, &[&account_id, &customer_id, &partner_id, &reason, &recorded_at]).await?;
    let statement = sql!(
        "INSERT INTO attribution (person_id, customer_id, from_at, account_id, partner_id, evidence, reason, recorded_at) \
         SELECT c.person_id, c.id, CAST(0 AS BIGINT), c.account_id, CAST($3 AS BIGINT), 'operator', CAST($4 AS TEXT), CAST($5 AS BIGINT) \
         FROM customer c WHERE c.account_id = $1 AND c.id = $2 AND NOT EXISTS (SELECT 1 FROM attribution l WHERE l.customer_id = c.id \
         AND l.referred_at IS NOT NULL AND l.from_at = (SELECT MIN(m.from_at) FROM attribution m WHERE m.person_id = c.person_id \
         AND m.customer_id = c.id) AND l.person_id = c.person_id) ON CONFLICT (person_id, customer_id, from_at) DO NOTHING"
    );
    let made = tx.execute(statement, &[&account_id, &customer_id, &partner_id, &reason, &recorded_at]).await?;
    person_rebind(tx, account_id, customer_id).await?;
    Ok(taken + made)
}

record! {
    /// The binding of a customer that is in force, and who shares what it earns.
    pub struct SharedBindingRow { person_id: i64, program_id: i64, from_at: i64, partner_id: i64, splits: Option<String> }
}

/// The binding of the customer of this number at an instant.
pub async fn binding_at(tx: &Tx<'_>, account_id: i64, id: i64, at: i64) -> Result<Option<SharedBindingRow>> {
    let statement = sql!(
        "SELECT c.person_id, c.program_id, a.from_at, a.partner_id, a.splits FROM customer c JOIN attribution a \
         ON a.person_id = c.person_id AND a.customer_id = c.id WHERE c.account_id = $1 AND c.id = $2 AND a.from_at <= $3 \
         ORDER BY a.from_at DESC LIMIT 1"
    );
    tx.maybe(statement, &[&account_id, &id, &at]).await
}

/// Says who shares what a binding earns, by date; `partners` are all of them: their cells hold something of the person now.
pub async fn splits_put(
    tx: &Tx<'_>,
    account_id: i64,
    id: i64,
    binding: &SharedBindingRow,
    splits: Option<&str>,
    partners: &[i64],
) -> Result<()> {
    let statement = sql!(
        "UPDATE attribution SET splits = $5 WHERE account_id = $1 AND person_id = $2 AND customer_id = $3 AND from_at = $4"
    );
    tx.execute(statement, &[&account_id, &binding.person_id, &id, &binding.from_at, &splits]).await?;
    let (program_id, person_id) = (binding.program_id, binding.person_id);
    let pays = |partner_id: &i64| PersonPaysTo { program_id, partner_id: *partner_id, person_id };
    persons_pay(tx, &partners.iter().map(pays).collect::<Vec<_>>()).await
}

/// Forgets who a person is: what it and its accounts are known by and what callers said of it beside what is priced. What
/// the ledger says stays.
pub async fn person_erase(tx: &Tx<'_>, person_id: i64) -> Result<()> {
    for statement in [
        sql!(
            "UPDATE person SET email_key = ' erased:' || id, name = NULL WHERE id = $1 OR (merged_into IS NOT NULL AND merged_into = $1)"
        ),
        // That somebody waits says nothing of who it is, and what is posted later waits as well (`settle::waiting`).
        sql!(
            "UPDATE customer SET name = NULL, email = NULL, attributes = CASE WHEN attributes LIKE '%\"referral_state\":\"pending\"%' \
             OR attributes LIKE '%\"referral_waits\":true%' THEN '{\"referral_state\":\"pending\"}' END WHERE person_id = $1"
        ),
        sql!("UPDATE event SET metadata = NULL, data = NULL WHERE person_id = $1"),
        sql!("UPDATE fact SET data = NULL WHERE person_id = $1"),
        // What was sent of its events, and what receivers said to it. A delivery on its way still has to be sent.
        sql!(
            "UPDATE delivery_attempt SET response = NULL WHERE delivery_id IN (SELECT d.id FROM delivery d \
             WHERE d.status <> 'pending' AND d.event_id IN (SELECT e.id FROM event e WHERE e.person_id = $1))"
        ),
        sql!(
            "UPDATE delivery SET body = '' WHERE status <> 'pending' \
             AND event_id IN (SELECT e.id FROM event e WHERE e.person_id = $1)"
        ),
    ] {
        tx.execute(statement, &[&person_id]).await?;
    }
    Ok(())
}

/// The clicks of a person's bindings and events.
pub async fn clicks_of_person(tx: &Tx<'_>, person_id: i64) -> Result<Vec<i64>> {
    let statement = sql!(
        "SELECT click_id FROM attribution WHERE person_id = $1 AND click_id IS NOT NULL \
         UNION SELECT click_id FROM event WHERE person_id = $1 AND click_id IS NOT NULL"
    );
    let clicks: Vec<(i64,)> = tx.all(statement, &[&person_id]).await?;
    Ok(clicks.into_iter().map(|(id,)| id).collect())
}

/// Forgets from where and by which device clicks came. They are kept in the store of clicks.
pub async fn clicks_erase(tx: &Tx<'_>, account_id: i64, clicks: &[i64]) -> Result<()> {
    let statement = sql!(
        "UPDATE click SET ip = NULL, region = NULL, city = NULL, user_agent = NULL, referer = NULL, fingerprint = NULL, params = '{}' \
         WHERE account_id = $1 AND id = $2"
    );
    for click in clicks {
        tx.execute(statement, &[&account_id, click]).await?;
    }
    Ok(())
}
