//! What promoters brought: clicks, referrals, sales and revenue of each membership, and what their referrals are suspected of.
//!
//! Counted from clicks, customers and facts when it is asked for. Invariant: figures of two units or currencies are never added
//! up.

use crate::app::App;
use crate::directory::Directory;
use crate::error::Result;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::click::click_counts;
use headwater_store::referral::{
    BoughtRow, SaleRow, referral_suspicions, referrals_bound, referrals_of_member, sales_of,
};
use headwater_store::settlement::Number;
use std::collections::{BTreeMap, BTreeSet};

/// What a membership brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Clicks that counted.
    pub clicks: i64,
    /// Customers, whether they bought or not.
    pub referrals: i64,
    /// Customers that bought.
    pub customers: i64,
    /// Of these, those that have a sale left after refunds.
    pub active_customers: i64,
    /// Sales.
    pub sales: i64,
    /// Sales less refunds, in the program's currency; what was sold in another one is not in it.
    pub revenue: Decimal,
    /// What some of its customers are suspected of (`fraud_check`).
    pub suspicions: BTreeSet<String>,
}

impl Figures {
    /// Adds another membership's counts. Revenue is added by whoever knows that the currencies are one.
    pub fn add_counts(&mut self, other: &Self) {
        self.clicks += other.clicks;
        self.referrals += other.referrals;
        self.customers += other.customers;
        self.active_customers += other.active_customers;
        self.sales += other.sales;
    }
}

impl App {
    /// What each membership of one partner, or of all, brought.
    pub async fn figures(
        &self,
        account: AccountId,
        partner: Option<PartnerId>,
    ) -> Result<BTreeMap<(PartnerId, ProgramId), Figures>> {
        let number = partner.map(|partner| partner.0);
        let read = async move |tx: &Tx<'_>| {
            let bound = referrals_bound(tx, account.0, number).await?;
            let sales = sales_of_all(tx, &bound).await?;
            Ok((bound, sales, referral_suspicions(tx, account.0).await?))
        };
        let (bound, sales, suspicions) = self.store.money.read(read).await?;
        let mut figures = counted(&self.directory(), account, &bound, sales);
        for row in suspicions.into_iter().filter(|row| number.is_none_or(|number| row.partner_id == number)) {
            let of = figures.entry((PartnerId(row.partner_id), ProgramId(row.program_id))).or_default();
            of.suspicions.insert(row.fraud_check);
        }
        self.clicks_of(account, partner, &mut figures).await?;
        Ok(figures)
    }

    /// What one membership sold: its figures but for clicks and suspicions.
    pub(crate) async fn sales_figures(
        &self,
        account: AccountId,
        program: ProgramId,
        partner: PartnerId,
    ) -> Result<Figures> {
        let read = async move |tx: &Tx<'_>| {
            let bound = referrals_of_member(tx, program.0, partner.0).await?;
            let sales = sales_of_all(tx, &bound).await?;
            Ok((bound, sales))
        };
        let (bound, sales) = self.store.money.read(read).await?;
        let figures = counted(&self.directory(), account, &bound, sales).remove(&(partner, program));
        Ok(figures.unwrap_or_default())
    }

    /// What customers of each partner are suspected of; a partner that is not in it has none under suspicion.
    pub async fn suspicions(&self, account: AccountId) -> Result<BTreeMap<PartnerId, BTreeSet<String>>> {
        let read = async move |tx: &Tx<'_>| referral_suspicions(tx, account.0).await;
        let mut suspicions: BTreeMap<PartnerId, BTreeSet<String>> = BTreeMap::new();
        for row in self.store.money.read(read).await? {
            suspicions.entry(PartnerId(row.partner_id)).or_default().insert(row.fraud_check);
        }
        Ok(suspicions)
    }

    async fn clicks_of(
        &self,
        account: AccountId,
        partner: Option<PartnerId>,
        figures: &mut BTreeMap<(PartnerId, ProgramId), Figures>,
    ) -> Result<()> {
        let mut links = self.directory().links(account);
        links.retain(|link| partner.is_none_or(|partner| link.partner_id == partner.0));
        let counted = links.clone();
        let read = async move |tx: &Tx<'_>| {
            let mut counts = Vec::new();
            for link in &counted {
                counts.push(click_counts(tx, account.0, link.id, 0).await?.clicks);
            }
            Ok(counts)
        };
        let counts = self.store.clicks.read(read).await?;
        for (link, clicks) in links.iter().zip(counts) {
            figures.entry((PartnerId(link.partner_id), ProgramId(link.program_id))).or_default().clicks += clicks;
        }
        Ok(())
    }
}

async fn sales_of_all(tx: &Tx<'_>, bound: &[BoughtRow]) -> StoreResult<Vec<SaleRow>> {
    let customers: Vec<_> = bound.iter().map(|row| Number { id: row.customer_id }).collect();
    if customers.is_empty() { Ok(Vec::new()) } else { sales_of(tx, &customers).await }
}

/// What these customers make of the figures of each membership; of several revisions of a sale the last one stands.
fn counted(
    directory: &Directory,
    account: AccountId,
    bound: &[BoughtRow],
    sales: Vec<SaleRow>,
) -> BTreeMap<(PartnerId, ProgramId), Figures> {
    let mut figures: BTreeMap<(PartnerId, ProgramId), Figures> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for row in bound {
        let place = (PartnerId(row.partner_id), ProgramId(row.program_id));
        // What it bought before it left for another campaign stays; it is a referral there.
        figures.entry(place).or_default().referrals += i64::from(!row.has_left);
        places.insert(row.customer_id, place);
    }
    let mut standing = BTreeMap::new();
    for row in sales {
        let body = FactBody::from_json(&row.kind, &serde_json::from_str(&row.body).unwrap_or_default());
        let Some(body) = body else { continue };
        standing.insert((row.customer_id, row.kind, row.fact_key), (body, row.waits));
    }
    let mut left: BTreeMap<i64, (i64, Decimal)> = BTreeMap::new();
    for ((customer, ..), (body, _)) in standing.iter().filter(|(_, (_, waits))| !waits) {
        let Some(place) = places.get(customer) else { continue };
        let own = directory.program(account, place.1).and_then(|p| Currency::parse(&p.settings.currency));
        let of = figures.entry(*place).or_default();
        let kept = left.entry(*customer).or_default();
        let (amount, is_sale) = match body {
            FactBody::Sale { amount, currency, .. } => (Some(*amount).filter(|_| own == Some(*currency)), true),
            FactBody::Refund { amount, currency, .. } => {
                (Some(amount.negated()).filter(|_| own == Some(*currency)), false)
            }
            _ => continue,
        };
        if is_sale {
            of.sales += 1;
            kept.0 += 1;
        }
        let amount = amount.unwrap_or(Decimal::ZERO);
        of.revenue = sum(of.revenue, amount);
        kept.1 = sum(kept.1, amount);
    }
    for (customer, (sales, kept)) in left {
        let of = places.get(&customer).and_then(|place| figures.get_mut(place));
        let Some(of) = of.filter(|_| sales > 0) else { continue };
        of.customers += 1;
        of.active_customers += i64::from(kept > Decimal::ZERO);
    }
    figures
}

fn sum(one: Decimal, other: Decimal) -> Decimal {
    one.checked_add(other).unwrap_or(one)
}
