//! How far a broker's integration has come: the checklist of a program, told from what is there and never ticked by hand.
//!
//! Phases and their lengths are those of the published guide, whose own eight items are not public. Invariant: a step is
//! done exactly while what it asks for is there.

use crate::app::App;
use crate::error::Result;
use crate::key::KeyKind;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_store::listing::{Arrived, arrived};

/// Days on which trading must have arrived before an integration counts as running.
const STEADY_DAYS: i64 = 5;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For programs: stable.
    pub id: &'static str,
    /// Which phase it belongs to.
    pub phase: &'static str,
    /// How long that phase usually takes.
    pub phase_length: &'static str,
    /// For people: what has to be there.
    pub title: &'static str,
    /// Whether it is.
    pub is_done: bool,
    /// How many of it are there, where it is counted.
    pub count: Option<i64>,
}

/// What is configured, as far as the checklist asks.
#[derive(Debug, Clone, Copy)]
struct Configured {
    credentials: i64,
    partners: i64,
    has_plan: bool,
}

impl App {
    /// The checklist of a program.
    pub async fn onboarding(&self, account: AccountId, id: ProgramId) -> Result<Vec<Step>> {
        let program = self.program_read(account, id)?;
        let now = self.clock.now();
        let configured = {
            let directory = self.directory();
            let pushes = |kind: KeyKind| matches!(kind, KeyKind::Brand | KeyKind::Oauth);
            let all = directory.credentials(account);
            let credentials = all.iter().filter(|c| pushes(c.kind) && c.program == Some(id) && c.is_in_force_at(now));
            Configured {
                credentials: count(credentials.count()),
                partners: count(directory.partners(account).len()),
                has_plan: program.settings.plan.is_some(),
            }
        };
        let arrived = self.store.money.read(async move |tx| arrived(tx, account.0, id.0).await).await?;
        Ok(steps(configured, &arrived))
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn steps(configured: Configured, arrived: &Arrived) -> Vec<Step> {
    let counted = |id, (phase, phase_length), title, count: i64, least: i64| Step {
        id,
        phase,
        phase_length,
        title,
        is_done: count >= least,
        count: Some(count),
    };
    let setup = ("setup", "1 day");
    let customers = ("customers", "2-3 days");
    let transactions = ("transactions", "1-2 days");
    let trading = ("trading", "3-5 days");
    let live = ("go_live", "5-7 days");
    vec![
        counted("credentials", setup, "A brand token or an OAuth client of this program", configured.credentials, 1),
        counted("partners", setup, "Partners, under the ids that the broker sends", configured.partners, 1),
        Step {
            is_done: configured.has_plan,
            count: None,
            ..counted("plan", setup, "A commission plan of the program", 0, 1)
        },
        counted("customers", customers, "Customers have arrived", arrived.customers, 1),
        counted("attribution", customers, "Customers are attributed to partners", arrived.attributed, 1),
        counted("transactions", transactions, "Deposits, withdrawals or rebates have arrived", arrived.transactions, 1),
        counted(
            "trading",
            trading,
            "Trading has arrived, and commissions are posted",
            arrived.trading.min(arrived.commissions),
            1,
        ),
        counted("steady", live, "Trading has arrived on five days", arrived.trading_days, STEADY_DAYS),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_steps_are_done_one_after_another() {
        let nothing =
            Arrived { customers: 0, attributed: 0, transactions: 0, trading: 0, commissions: 0, trading_days: 0 };
        let done =
            |configured, arrived: &Arrived| steps(configured, arrived).iter().filter(|step| step.is_done).count();
        let bare = Configured { credentials: 0, partners: 0, has_plan: false };
        let set_up = Configured { credentials: 1, partners: 3, has_plan: true };
        assert_eq!((steps(bare, &nothing).len(), done(bare, &nothing), done(set_up, &nothing)), (8, 0, 3));
        let all = Arrived { customers: 2, attributed: 1, transactions: 1, trading: 9, commissions: 4, trading_days: 5 };
        assert_eq!(done(set_up, &all), 8);
        let organic = Arrived { attributed: 0, commissions: 0, trading_days: 4, ..all };
        assert_eq!(done(set_up, &organic), 5);
    }
}
