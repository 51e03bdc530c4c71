//! Commissions: a pure function of facts (`commissions.md`). `evaluate` says what every cell is worth now; `postings` is
//! the difference to what was posted.
//!
//! One file per rule kind (`flat`, `cpa`, `cpa_ladder`, `per_lot`, `per_million`, `percent`, `bonus`, `external`), one
//! per modifier (`brackets`, `cap`, `carry`, `eligibility`, `sales`, `budget`, `tiers`, `split`). `lint` makes a [`Plan`] of
//! a document. Never reads a clock, never rounds but once per cell.

mod active;
mod bonus;
mod brackets;
mod budget;
mod cap;
mod carry;
mod cell;
mod claim;
mod condition;
mod cpa;
mod cpa_ladder;
mod eligibility;
mod evaluate;
mod exchange;
mod explain;
mod external;
mod flat;
mod ftd;
mod held;
mod largest_remainder;
mod lint;
mod per_lot;
mod per_million;
mod percent;
mod person;
mod place;
mod plan;
mod posting;
mod progress;
mod rates;
mod reach;
mod reader;
mod sales;
mod share;
mod split;
mod sum;
mod terms;
mod tiers;
mod traded;
mod verdict;

pub use bonus::{Bonus, Rebate};
pub use brackets::{Brackets, Metric, Mode, Network, Reached, Step};
pub use budget::{Budget, OnExceed};
pub use cap::{Cap, CapPer};
pub use carry::{Carry, CarryOf, CarryScope};
pub use cell::{CellKey, Payee, Scope};
pub use condition::{ConditionState, Conditions, PartnerCondition, Within, WithinFrom};
pub use cpa::Cpa;
pub use cpa_ladder::{CpaLadder, LadderOf, LadderStep};
pub use eligibility::Eligibility;
pub use evaluate::{Evaluation, evaluate, evaluate_among, reached};
pub use exchange::{ExchangeRates, Quote};
pub use explain::full_explanation;
pub use external::External;
pub use flat::Flat;
pub use held::{Held, HeldReason};
pub use lint::{LintError, lint};
pub use per_lot::{ListedRate, LotFactor, PerLot, Side};
pub use per_million::PerMillion;
pub use percent::{Percent, Source, Term};
pub use plan::{Kind, OnSuspended, OncePer, Pays, Plan, PlanVersion, Rule, When};
pub use posting::{LastPosting, PostedCell, Posting, postings};
pub use progress::{ConditionReport, conditions};
pub use reach::{Days, Reach, Window};
pub use sales::{Comparison, SaleCondition, SaleMetric, SaleState, Sales};
pub use split::{Split, SplitError, SplitPart};
pub use sum::Worth;
pub use terms::{Binding, CustomerView, PartnerTerms, PersonView, Terms};
pub use tiers::{PassUp, Tiers};
pub use verdict::{RuleVerdict, verdicts};
