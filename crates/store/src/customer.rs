//! Customers, the persons behind them and their bindings: reading. Writing is in `settlement` and `outcome`.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// The person behind a customer's number, or of that number.
    pub struct PersonOfCustomer {
        id: i64, program_id: i64, email_key: String, name: Option<String>, event_types: String, qualified_at: Option<i64>, created_at: i64,
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
         WHERE c.person_id = person.id AND c.email IS NOT NULL ORDER BY c.registered_at, c.id LIMIT 1), '') ELSE email_key END, name, event_types, qualified_at, created_at FROM person WHERE account_id = $1 \
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
