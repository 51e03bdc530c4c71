//! The published fields of this dialect (`forex-api.md` §3–6), and their schemas under `/api/v1/forex/schemas/`.
//!
//! What is read by these tables is what the schemas say; there is no second list of fields.

use crate::json::table::{Bounds, Column, Kind, TEXT_CHARACTERS_MAX, schema};
use axum::Json;
use serde_json::Value;

/// Records of one request.
pub const RECORDS_MAX: usize = 1000;

const TEXT: Kind = Kind::Text(TEXT_CHARACTERS_MAX);
const AMOUNT: Kind = Kind::Number(Bounds { is_signed: false, places: 6 });
const SIGNED: Kind = Kind::Number(Bounds { is_signed: true, places: 6 });
const LOTS: Kind = Kind::Number(Bounds { is_signed: false, places: 2 });

const fn required(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, is_required: false }
}

/// Customers.
pub const CUSTOMERS: &[Column] = &[
    required("customer_id", Kind::Id),
    required("signup_date", Kind::Moment),
    optional("last_modified_date", Kind::Moment),
    required("affiliate_id", Kind::Id),
    optional("campaign_id", TEXT),
    optional("click_id", TEXT),
    optional("lang_id", Kind::Language),
    optional("country_code", Kind::Country),
    optional("kyc_status_id", Kind::OneOf(&["not_started", "pending", "approved", "rejected", "expired"])),
    optional("sales_status_id", TEXT),
    optional("trading_account_type", TEXT),
    optional("leverage", Kind::Leverage),
    optional("first_name", TEXT),
    optional("last_name", TEXT),
    optional("email", Kind::Email),
    optional("person_id", Kind::Id),
];

/// Transactions.
pub const TRANSACTIONS: &[Column] = &[
    required("transaction_id", Kind::Id),
    required("customer_id", Kind::Id),
    required(
        "transaction_type",
        Kind::OneOf(&["deposit", "withdrawal", "ib_rebate", "bonus", "adjustment", "chargeback"]),
    ),
    required("amount_currency", SIGNED),
    required("currency", Kind::Currency),
    required("transaction_date", Kind::Moment),
    required("status", Kind::OneOf(&["pending", "approved", "reversed", "rejected", "cancelled"])),
    optional("amount_usd", SIGNED),
    optional("payment_method", TEXT),
    optional("affiliate_id", Kind::Id),
    optional("reference_id", TEXT),
    optional("last_modified_date", Kind::Moment),
];

/// Daily rows.
pub const TRADING_ACTIVITY: &[Column] = &[
    required("date", Kind::Day),
    required("customer_id", Kind::Id),
    required("instrument", Kind::Id),
    required("lots_traded", LOTS),
    optional("volume_usd", AMOUNT),
    optional("spread_cost", AMOUNT),
    optional("commission", AMOUNT),
    optional("pnl", SIGNED),
    required("currency", Kind::Currency),
    optional("swap", SIGNED),
];

/// Single trades.
pub const TRADES: &[Column] = &[
    required("trade_id", Kind::Id),
    required("customer_id", Kind::Id),
    required("instrument", Kind::Id),
    optional("side", Kind::OneOf(&["buy", "sell"])),
    required("opened_at", Kind::Moment),
    required("closed_at", Kind::Moment),
    required("lots", AMOUNT),
    required("currency", Kind::Currency),
    optional("open_price", AMOUNT),
    optional("close_price", AMOUNT),
    optional("point_size", AMOUNT),
    optional("spread_points", AMOUNT),
    optional("spread_cost", AMOUNT),
    optional("commission", AMOUNT),
    optional("equity", SIGNED),
    optional("equity_after", SIGNED),
    optional("credit", SIGNED),
];

/// The schema of customers
///
/// What records are read by.
#[utoipa::path(get, path = "/api/v1/forex/schemas/customers", operation_id = "forex_customers_schema", tag = "Forex",
    security(()),
    responses((status = 200, description = "JSON Schema 2020-12", body = Value)))]
pub async fn customers() -> Json<Value> {
    Json(schema("customers", CUSTOMERS, RECORDS_MAX))
}

/// The schema of transactions
///
/// What records are read by.
#[utoipa::path(get, path = "/api/v1/forex/schemas/transactions", operation_id = "forex_transactions_schema", tag = "Forex",
    security(()),
    responses((status = 200, description = "JSON Schema 2020-12", body = Value)))]
pub async fn transactions() -> Json<Value> {
    Json(schema("transactions", TRANSACTIONS, RECORDS_MAX))
}

/// The schema of trading activity
///
/// What records are read by.
#[utoipa::path(get, path = "/api/v1/forex/schemas/trading-activity", operation_id = "forex_trading_activity_schema", tag = "Forex",
    security(()),
    responses((status = 200, description = "JSON Schema 2020-12", body = Value)))]
pub async fn trading_activity() -> Json<Value> {
    Json(schema("trading-activity", TRADING_ACTIVITY, RECORDS_MAX))
}

/// The schema of trades
///
/// What records are read by.
#[utoipa::path(get, path = "/api/v1/forex/schemas/trades", operation_id = "forex_trades_schema", tag = "Forex",
    security(()),
    responses((status = 200, description = "JSON Schema 2020-12", body = Value)))]
pub async fn trades() -> Json<Value> {
    Json(schema("trades", TRADES, RECORDS_MAX))
}
