//! Customers: reading the person behind one, with its accounts and bindings.

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::{AccountId, CustomerId};
pub use headwater_store::customer::{BindingRow, CustomerAccountRow, PersonOfCustomer};
use headwater_store::customer::{bindings_of_person, customer_by_external_id, customers_of_person, person_of_customer};

/// A person, its accounts and its bindings.
#[derive(Debug, Clone)]
pub struct CustomerStory {
    /// The person.
    pub person: PersonOfCustomer,
    /// Its accounts, oldest first.
    pub accounts: Vec<CustomerAccountRow>,
    /// Its bindings, oldest first.
    pub bindings: Vec<BindingRow>,
}

impl App {
    /// The number of the customer that a path names: by the caller's id, else by its number.
    pub async fn customer_named(&self, account: AccountId, name: &str) -> Result<CustomerId> {
        let external_id = name.to_owned();
        let found =
            self.store.money.read(async move |tx| customer_by_external_id(tx, account.0, &external_id).await).await?;
        let number = found.or_else(|| name.parse().ok());
        number.map(CustomerId).ok_or(Error::NotFound("customer"))
    }

    /// The person of this client or customer number.
    pub async fn customer_read(&self, account: AccountId, id: CustomerId) -> Result<CustomerStory> {
        let story = async move |tx: &headwater_store::backend::Tx<'_>| {
            let Some(person) = person_of_customer(tx, account.0, id.0).await? else { return Ok(None) };
            let accounts = customers_of_person(tx, account.0, person.id).await?;
            let bindings = bindings_of_person(tx, account.0, person.id).await?;
            Ok(Some(CustomerStory { person, accounts, bindings }))
        };
        self.store.money.read(story).await?.ok_or(Error::NotFound("customer"))
    }
}
