//! Rewards and payouts on both engines: what is approved has a payout, what is fulfilled can be taken back, batches finish,
//! and every webhook is told each step once.

#[path = "../life/books.rs"]
mod books;
mod fulfilment;
mod kept;
mod lives;
mod money;
mod outage;
mod statements;
mod story;
mod tales;
