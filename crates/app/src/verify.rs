//! Recomputes every cell, and what is held, from facts and configuration, and checks the books in themselves: cells against their commissions,
//! commissions against their entries and payouts, transactions against nothing, chains against their hashes, and what the
//! ledger says was paid against payouts.
//!
//! Reads beside a running server: what differs is looked at again before it is called a difference, because a
//! settlement may have been half way.

use crate::directory::Program;
use crate::error::Result;
use crate::history::{Circle, History, PERSONS_AT_ONCE, Recorded};
use headwater_domain::commission::{Held, postings};
use headwater_domain::ids::ProgramId;
use headwater_domain::ledger::{GENESIS, entry_hash};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::books::{
    commission_out_of_payout, commission_unbooked, commission_without_cell, entry_unfounded, paid_unequal,
    payout_unequal,
};
use headwater_store::history::{
    ChainedEntry, LedgerHead, cell_unequal, entries_after, figures, held_astray, ledger_heads, transaction_unbalanced,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const ENTRIES_AT_ONCE: i64 = 5000;
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);

/// What was compared, and the first thing that does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Persons whose cells were recomputed.
    pub persons: usize,
    /// Commissions that cells were added up from.
    pub commissions: i64,
    /// Entries of the ledger whose hashes were recomputed.
    pub entries: usize,
    /// In words; `None` where everything holds.
    pub difference: Option<String>,
}

impl History {
    /// Recomputes and compares.
    pub async fn verify(&self) -> Result<Verdict> {
        let mut verdict = Verdict::default();
        let programs: Vec<Arc<Program>> = self.directory.programs_of_all_accounts().cloned().collect();
        for program in programs {
            verdict.difference = self.program_difference(&program, &mut verdict.persons).await?;
            if verdict.difference.is_some() {
                return Ok(verdict);
            }
        }
        (verdict.commissions, _) = self.store.money.read(async |tx| figures(tx).await).await?;
        for _ in 0..LOOKS {
            verdict.entries = 0;
            verdict.difference = self.books(&mut verdict.entries).await?;
            if verdict.difference.is_none() {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(verdict)
    }

    /// The first cell or held fact of one program that is not what everything that is recorded says, in words.
    pub async fn verify_program(&self, program: ProgramId) -> Result<Option<String>> {
        let Some(program) = self.directory.program_of_any_account(program).cloned() else { return Ok(None) };
        self.program_difference(&program, &mut 0).await
    }

    async fn program_difference(&self, program: &Program, persons: &mut usize) -> Result<Option<String>> {
        let mut circles = self.circles(program, None).await?;
        while let Some(circle) = circles.next(self, PERSONS_AT_ONCE).await? {
            *persons += circle.persons.len();
            if let Some(difference) = self.difference(program, &circle).await? {
                return Ok(Some(difference));
            }
        }
        Ok(None)
    }

    async fn difference(&self, program: &Program, circle: &Circle) -> Result<Option<String>> {
        let mut found = None;
        for look in 0..LOOKS {
            // What is configured may have changed since the first look.
            let fresh = if look == 0 { None } else { Some(Self::read(self.store.clone()).await?) };
            let history = fresh.as_ref().unwrap_or(self);
            let Some(program) = history.directory.program_of_any_account(program.id) else { return Ok(None) };
            let recorded = history.recorded(program, circle).await?;
            let differences = recorded.evaluate(&recorded.partners, |evaluation| {
                let due = postings(evaluation, &recorded.posted, &[]);
                let due = due.first().map(|posting| {
                    let worth = posting.posted_before.checked_add(posting.amount).unwrap_or(Decimal::ZERO);
                    format!(
                        "program {}, cell {}: the facts are worth {worth}, posted are {}",
                        program.id, posting.cell_text, posting.posted_before
                    )
                });
                due.or_else(|| Some(format!("program {}, {}", program.id, held_unequal(&recorded, &evaluation.held)?)))
            });
            found = differences;
            if found.is_none() {
                return Ok(None);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let (_, waiting) = self.store.money.read(async |tx| figures(tx).await).await?;
        Ok(found.map(|found| match waiting {
            0 => found,
            waiting => format!("{found} ({waiting} persons still wait to be priced after a dated change)"),
        }))
    }

    /// The books against themselves: cells against commissions, transactions against nothing, chains against hashes.
    async fn books(&self, checked: &mut usize) -> Result<Option<String>> {
        let read = async |tx: &Tx<'_>| {
            let found = (cell_unequal(tx).await?, transaction_unbalanced(tx).await?, unfounded(tx).await?);
            Ok((found, held_astray(tx).await?, ledger_heads(tx).await?))
        };
        let ((cell, transaction, unfounded), astray, heads) = self.store.money.read(read).await?;
        if let Some(cell) = cell {
            let (posted, sum) = (Decimal(cell.posted), Decimal(cell.commissions));
            if posted != sum {
                return Ok(Some(format!("cell {} says {posted}, its commissions add up to {sum}", cell.cell)));
            }
            let (denied, sum) = (Decimal(cell.denied), Decimal(cell.commissions_denied));
            return Ok(Some(format!("cell {} says that {denied} was denied, it was {sum}", cell.cell)));
        }
        if let Some(transaction) = transaction {
            return Ok(Some(format!("the entries of transaction {transaction} do not add up to nothing")));
        }
        if unfounded.is_some() {
            return Ok(unfounded);
        }
        if let Some(held) = astray {
            return Ok(Some(format!("fact {} is held for person {}, whose it is not", held.fact_id, held.person_id)));
        }
        let mut chains: BTreeMap<i64, Chain> = BTreeMap::new();
        let mut last = (i64::MIN, 0);
        loop {
            let page = async move |tx: &Tx<'_>| entries_after(tx, last.0, last.1, ENTRIES_AT_ONCE).await;
            let entries = self.store.money.read(page).await?;
            let Some(end) = entries.last() else { break };
            last = (end.ledger_account_id, end.number);
            *checked += entries.len();
            for entry in entries {
                let chain = chains.entry(entry.ledger_account_id).or_default();
                if let Some(broken) = chain.add(&entry) {
                    return Ok(Some(broken));
                }
            }
        }
        Ok(heads.iter().find_map(|head| chains.remove(&head.id).unwrap_or_default().differs_from(head)))
    }
}

/// The first fact that is held though it should not be, or is not though it should.
fn held_unequal(recorded: &Recorded, evaluated: &[Held]) -> Option<String> {
    let told = recorded.not_admitted.iter().chain(evaluated);
    let told: BTreeMap<_, _> =
        told.map(|held| ((held.fact, held.reason.name().to_owned()), held.detail.as_str())).collect();
    let missing = told.iter().find(|(place, _)| !recorded.held.contains(place));
    let missing = missing
        .map(|((fact, reason), detail)| format!("fact {fact}: it is to be held as {reason} ({detail}), and is not"));
    missing.or_else(|| {
        let (fact, reason) = recorded.held.iter().find(|place| !told.contains_key(place))?;
        Some(format!("fact {fact}: it is held as {reason}, and nothing stands in its way"))
    })
}

/// The first posting, entry or payout that is not what another one says of it.
async fn unfounded(tx: &Tx<'_>) -> headwater_store::backend::Result<Option<String>> {
    if let Some(id) = commission_without_cell(tx).await? {
        return Ok(Some(format!("commission {id} is in no cell")));
    }
    if let Some(found) = commission_unbooked(tx).await? {
        let (amount, status) = (Decimal(found.amount), found.status);
        let [accrued, held, payable] = [found.accrued, found.held, found.payable].map(Decimal);
        return Ok(Some(format!(
            "commission {} of {amount} is {status}, its entries say accrued {accrued}, held {held}, payable {payable}",
            found.id
        )));
    }
    if let Some(id) = entry_unfounded(tx).await? {
        return Ok(Some(format!("ledger entry {id} is for no commission and no payout of its payee")));
    }
    if let Some(found) = payout_unequal(tx).await? {
        let [amount, sum, booked] = [found.amount, found.sum, found.booked].map(Decimal);
        return Ok(Some(format!(
            "payout {} says {amount} for {} commissions, it took {} of {sum} and was booked with {booked}",
            found.id, found.commissions, found.taken
        )));
    }
    if let Some(id) = commission_out_of_payout(tx).await? {
        return Ok(Some(format!("commission {id} has another status than its payout")));
    }
    Ok(paid_unequal(tx).await?.map(|paid| {
        let (balance, sum) = (Decimal(paid.paid), Decimal(paid.completed));
        format!("{} was paid {balance} {}, its completed payouts add up to {sum}", paid.owner, paid.unit)
    }))
}

/// What the entries of one account add up to.
struct Chain {
    hash: String,
    balance: i128,
    entries: i64,
}

impl Default for Chain {
    fn default() -> Self {
        Self { hash: GENESIS.to_owned(), balance: 0, entries: 0 }
    }
}

impl Chain {
    fn add(&mut self, entry: &ChainedEntry) -> Option<String> {
        let place = format!("entry {} of ledger account {}", entry.number, entry.ledger_account_id);
        self.entries += 1;
        if entry.number != self.entries {
            return Some(format!("{place}: entry {} is missing", self.entries));
        }
        if entry.previous_hash != self.hash {
            return Some(format!("{place}: it does not follow the entry before it"));
        }
        let (amount, at) = (Decimal(entry.amount), Instant(entry.at));
        let hash = entry_hash(&self.hash, entry.ledger_account_id, entry.number, entry.transaction_id, amount, at);
        if hash != entry.hash {
            return Some(format!("{place}: it was changed after it was written"));
        }
        self.hash = hash;
        self.balance += i128::from(entry.amount);
        None
    }

    /// Entries that came after the head was read are no difference.
    fn differs_from(&self, head: &LedgerHead) -> Option<String> {
        if self.entries > head.entries {
            return None;
        }
        let same =
            self.entries == head.entries && self.hash == head.head_hash && self.balance == i128::from(head.balance);
        (!same).then(|| format!("ledger account {}: its entries do not add up to its balance and head", head.id))
    }
}
