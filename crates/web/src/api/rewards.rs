//! The rewards dialect (FirstPromoter v2): commissions in money and in reward units, their approval and fulfilment,
//! payouts and webhooks (`rewards-api.md`).
//!
//! `caller` knows who asks, `problem` the error body, `asked` and `page` the query and its lists, `ids` the bulk body,
//! `once` an `Idempotency-Key`, `amount` minor units, `report_body` reports; `affiliate` is what a partner's own user calls. Each of the others is one noun of the dialect with its calls.

pub mod affiliate;
pub mod amount;
pub mod asked;
pub mod batches;
pub mod caller;
pub mod campaigns;
pub mod chart;
pub mod commission_actions;
pub mod commission_create;
pub mod commissions;
pub mod ids;
pub mod memberships;
pub mod once;
pub mod page;
pub mod payout_actions;
pub mod payouts;
pub mod problem;
pub mod products;
pub mod promo_codes;
pub mod promoter_body;
pub mod promoter_filter;
pub mod promoters;
pub mod referrals;
pub mod report_body;
pub mod reports;
pub mod reward;
pub mod track;
pub mod webhook_deliveries;
pub mod webhooks;
