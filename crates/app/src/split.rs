//! Splits: who shares what the partner of a customer earns of it, from a moment on.
//!
//! What may be shared is the domain's (`commission::Split`); here it is said of the binding in force, and members of other
//! programs are refused. Invariant: whoever shares is found wherever the customer is priced, and the customer is priced again.

use crate::announce::{Told, announce, listens};
use crate::app::App;
use crate::error::{Error, Result};
use crate::referral::{Shown, entity, split_json};
use crate::reprice::Mark;
use headwater_domain::commission::{Split, SplitPart};
use headwater_domain::ids::{AccountId, CustomerId, MembershipId, PartnerId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::customer::{SharedBindingRow, binding_at, splits_put};
use headwater_store::membership::membership_ensure;
use headwater_store::referral::{ReferralFilter, referral_list};
use headwater_store::repricing::mark_person;
use headwater_store::settlement::{Number, programs_lock};
use serde_json::{Value, json};
use std::sync::Arc;

/// The field that says who shares, in the dialect that has one.
const FIELD: &str = "split_details";

/// What came of saying who shares.
enum Said {
    Unbound,
    Refused(String),
    Same,
    Changed { is_told: bool },
}

impl App {
    /// Who shares what `direct` earns in a program, named by memberships.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a membership is unknown or of another program, where a partner is named twice or is `direct`
    /// itself, and where the percents make more than 100.
    pub fn split_parts(
        &self,
        account: AccountId,
        program: ProgramId,
        direct: PartnerId,
        named: &[(MembershipId, Decimal)],
    ) -> Result<Vec<SplitPart>> {
        let part = |(id, percent): &(MembershipId, Decimal)| {
            let unknown =
                |_| Error::invalid(FIELD, format!("has the promoter_campaign_id {id}, which names no membership"));
            let member = self.membership_read(account, *id).map_err(unknown)?;
            if member.program != program {
                let message =
                    format!("has the promoter_campaign_id {id}, which is of another campaign than the referral");
                return Err(Error::invalid(FIELD, message));
            }
            Ok(SplitPart { partner: member.partner, percent: *percent })
        };
        let parts = named.iter().map(part).collect::<Result<Vec<_>>>()?;
        let split = Split::of(direct, Instant(0), parts);
        split.map(|split| split.parts).map_err(|error| Error::invalid(FIELD, error.to_string()))
    }

    /// Says who shares what the customer's partner earns of it, from an instant on (`None`: now); nobody ends the split. What it
    /// is worth is posted anew soon after.
    ///
    /// # Errors
    /// [`Error::Invalid`] where nobody brought the customer, or the parts make no split.
    pub async fn customer_split(
        self: &Arc<Self>,
        account: AccountId,
        customer: CustomerId,
        parts: Vec<SplitPart>,
        at: Option<Instant>,
    ) -> Result<()> {
        let story = self.customer_read(account, customer).await?;
        let now = self.clock.now();
        let (program, at, mark) = (story.person.program_id, at.unwrap_or(now), self.next_id(now));
        let app = Arc::clone(self);
        let say = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            // No two persons become one meanwhile, and nobody else says who shares.
            programs_lock(tx, &[Number { id: program }]).await?;
            let Some(binding) = binding_at(tx, account.0, customer.0, at.0).await? else { return Ok(Said::Unbound) };
            let split = match Split::of(PartnerId(binding.partner_id), at, parts.clone()) {
                Ok(split) => split,
                Err(error) => return Ok(Said::Refused(error.to_string())),
            };
            // A default in the place of what cannot be read would take back what every sharer has.
            let before = match binding.splits.as_deref() {
                None => Vec::new(),
                Some(text) => Split::from_stored(text).ok_or_else(|| {
                    StoreError::Abandoned(format!("the splits of customer {customer} cannot be read"))
                })?,
            };
            let mut after = before.clone();
            split.put_into(&mut after);
            if after == before || (after.len() > before.len() && Split::latest(&before) == parts) {
                return Ok(Said::Same);
            }
            let sharing: Vec<i64> = parts.iter().map(|part| part.partner.0).collect();
            splits_put(tx, account.0, customer.0, &binding, Split::to_stored(&after).as_deref(), &sharing).await?;
            for partner in &sharing {
                membership_ensure(tx, account.0, program, *partner, now.0).await?;
            }
            mark_person(tx, binding.person_id, mark).await?;
            let change = (Split::latest(&before), &parts[..]);
            let is_told = tell(tx, &app, account, customer, &binding, change, now).await?;
            Ok(Said::Changed { is_told })
        };
        match self.store.money.write(say).await? {
            Said::Unbound => Err(Error::invalid(FIELD, "is of a referral that nobody brought")),
            Said::Refused(message) => Err(Error::invalid(FIELD, message)),
            Said::Same => Ok(()),
            Said::Changed { is_told } => {
                if is_told {
                    self.outbox.ring();
                }
                Ok(())
            }
        }
    }
}

/// Webhooks hear who shares now.
async fn tell(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    customer: CustomerId,
    binding: &SharedBindingRow,
    (before, after): (&[SplitPart], &[SplitPart]),
    now: Instant,
) -> StoreResult<bool> {
    if !listens(app, account.0, binding.program_id) {
        return Ok(false);
    }
    let program = ProgramId(binding.program_id);
    let filter =
        ReferralFilter { account_id: account.0, ids: Some(format!(",{customer},")), ..ReferralFilter::default() };
    let directory = app.directory();
    let membership = directory.membership_in(program, PartnerId(binding.partner_id));
    let shown = |parts: &[SplitPart]| -> Value { split_json(&directory, program, parts) };
    let changes = json!({FIELD: [shown(before), shown(after)]});
    let rows = referral_list(tx, &filter, 1, 0).await?;
    let told = rows.iter().map(|row| {
        let data = entity(&directory, &Shown::of_row(row), membership);
        Told::other(account, program, "referral", row.id, data, vec![("updated", changes.clone())])
    });
    announce(tx, app, &told.collect::<Vec<_>>(), now).await
}
