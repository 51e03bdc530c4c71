//! Canonical facts: what every dialect is translated into before anything is computed (`commissions.md` §2).
//!
//! Leaves revisions and natural keys across records to the store, and pricing to `commission`. A fact here is always
//! the greatest revision of its key; its stored form reads back to the same fact.

mod stored;

use crate::ids::{CustomerId, FactId, PartnerId};
use crate::money::{Currency, Decimal};
use crate::time::Instant;
use jiff::civil::Date;

/// One thing that happened to a customer, in its greatest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its number.
    pub id: FactId,
    /// The natural key, unique per program and fact type.
    pub key: String,
    /// The sender's revision, where it has one; else revisions are ordered by arrival.
    pub revision: Option<i64>,
    /// Whose fact it is.
    pub customer: CustomerId,
    /// When it happened; a daily row is placed by its date and the plan's zone instead.
    pub at: Instant,
    /// What happened.
    pub body: FactBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactBody {
    /// A named business event.
    Event {
        /// `REGISTRATION`, `KYC_COMPLETED`, any name.
        event: String,
        /// Its amount, where it has one.
        amount: Option<Decimal>,
        /// The currency of the amount.
        currency: Option<Currency>,
    },
    /// Money that moved.
    Money {
        /// Which way.
        kind: MoneyKind,
        /// How much.
        amount: Decimal,
        /// In what.
        currency: Currency,
        /// Whether it counts.
        status: MoneyStatus,
        /// Who is to get an `ib_rebate`; `None`: the customer's partner, as of everything else.
        payee: Option<PartnerId>,
    },
    /// A day's trading of one instrument.
    TradingDay(Box<TradingDay>),
    /// One trade.
    Trade(Box<Trade>),
    /// A figure that the source names itself.
    Kpi {
        /// Its name, as in `kpi:NAME`.
        name: String,
        /// Its value; an amount where it has a currency.
        value: Decimal,
        /// The currency of the value.
        currency: Option<Currency>,
        /// The source's grouping.
        group: Option<String>,
    },
    /// A sale of a subscription or product.
    Sale {
        /// What was paid.
        amount: Decimal,
        /// In what.
        currency: Currency,
        /// What was bought, by the seller's id of the product or price.
        product: Option<String>,
        /// For how long it was paid: `monthly`, `yearly`, `one_time`, any name.
        billing_period: Option<String>,
    },
    /// Money given back for a sale.
    Refund {
        /// How much.
        amount: Decimal,
        /// In what.
        currency: Currency,
        /// The key of the sale.
        sale: String,
    },
}

/// A day's closed round turns of one customer in one instrument and currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradingDay {
    /// The trading day.
    pub date: Date,
    /// What was traded; `*` where the source does not say.
    pub instrument: String,
    /// Closed round turns.
    pub lots: Decimal,
    /// Notional volume.
    pub volume_usd: Option<Decimal>,
    /// What the spread brought the broker.
    pub spread_cost: Option<Decimal>,
    /// Platform commission.
    pub commission: Option<Decimal>,
    /// Swap.
    pub swap: Option<Decimal>,
    /// The trader's result.
    pub pnl: Option<Decimal>,
    /// The source's product group.
    pub product_group: Option<String>,
    /// The currency of the amounts.
    pub currency: Currency,
}

/// One trade; without `closed_at` it is still open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// When it was opened.
    pub opened_at: Instant,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// What was traded.
    pub instrument: String,
    /// Its size.
    pub lots: Decimal,
    /// Notional volume.
    pub volume_usd: Option<Decimal>,
    /// The source's product group.
    pub product_group: Option<String>,
    /// `buy` or `sell`.
    pub side: Option<String>,
    /// The opening price.
    pub open_price: Option<Decimal>,
    /// The closing price.
    pub close_price: Option<Decimal>,
    /// The size of a point.
    pub point_size: Option<Decimal>,
    /// The spread in points.
    pub spread_points: Option<Decimal>,
    /// What the spread brought the broker.
    pub spread_cost: Option<Decimal>,
    /// Platform commission.
    pub commission: Option<Decimal>,
    /// Equity after the trade.
    pub equity_after: Option<Decimal>,
    /// Equity with credit.
    pub equity: Option<Decimal>,
    /// Credit within the equity.
    pub credit: Option<Decimal>,
    /// The currency of the amounts.
    pub currency: Currency,
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$variant_doc])* $variant,)+ }
        impl $type {
            /// The name in documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// Reads [`Self::name`].
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

named! {
    /// Which way money moved.
    MoneyKind {
        /// Into the trading account.
        Deposit = "deposit",
        /// Out of it.
        Withdrawal = "withdrawal",
        /// Granted by the broker.
        Bonus = "bonus",
        /// Corrected by the broker.
        Adjustment = "adjustment",
        /// Taken back by the customer's bank.
        Chargeback = "chargeback",
        /// The broker's own figure of what the introducer earned.
        IbRebate = "ib_rebate",
    }
}

named! {
    /// Whether money that moved counts.
    MoneyStatus {
        /// Not yet.
        Pending = "pending",
        /// It does.
        Approved = "approved",
        /// It never did.
        Rejected = "rejected",
        /// It did, and was taken back.
        Reversed = "reversed",
        /// It was called off.
        Cancelled = "cancelled",
    }
}

/// The natural key of a daily row without a key of its own.
pub fn daily_key(date: Date, customer: &str, instrument: &str, currency: Currency) -> String {
    format!("{date}|{customer}|{instrument}|{currency}")
}

/// The natural key of a daily figure without a key of its own.
pub fn daily_kpi_key(date: Date, customer: &str, name: &str, group: Option<&str>) -> String {
    format!("{date}|{customer}|{name}|{}", group.unwrap_or_default())
}

impl FactBody {
    /// The partner that the fact itself names: it gets the broker's figure in the place of the customer's own.
    pub fn payee(&self) -> Option<PartnerId> {
        match self {
            Self::Money { payee, .. } => *payee,
            _ => None,
        }
    }

    /// Whether it is of trading, or a figure like it: what comes day by day, and is many.
    pub fn is_of_trading(&self) -> bool {
        matches!(self, Self::TradingDay(_) | Self::Trade(_) | Self::Kpi { .. })
    }

    /// The fact's type, as documents and the store name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Event { .. } => "event",
            Self::Money { kind, .. } => kind.name(),
            Self::TradingDay(_) => "trading_day",
            Self::Trade(_) => "trade",
            Self::Kpi { .. } => "kpi",
            Self::Sale { .. } => "sale",
            Self::Refund { .. } => "refund",
        }
    }
}
