//! What the reference says of the management API's JSON and queries. Nothing is parsed or rendered with these types;
//! that both agree is shown on a running server (`crates/headwater/tests/it/reference.rs`).

use utoipa::{IntoParams, ToSchema};

/// Pages of lists, each with its own name, so that the reference leads from a page to its objects.
macro_rules! pages {
    ($($name:ident of $object:ident),+ $(,)?) => {$(
        /// A page of a list.
        #[derive(Debug, ToSchema)]
        pub struct $name {
            /// `list`.
            pub object: String,
            /// The objects.
            pub data: Vec<$object>,
            /// Whether there are more.
            pub has_more: bool,
            /// What to send as `starting_after` for the next page, where there are more.
            #[schema(required)]
            pub next_cursor: Option<Value>,
        }
    )+};
}
pub(super) use pages;

/// Which part of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub starting_after: Option<String>,
}

/// From when something holds.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"at": "2026-03-01"}))]
pub struct At {
    /// A date in the program's zone or an instant, also in the past; now where it is left out.
    pub at: Option<String>,
}

/// Which dead letters of a webhook; all of them where nothing is said.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"event_type": "commission.updated", "from": "2026-02-01"}))]
pub struct WebhookDeadLetters {
    /// Of this name.
    pub event_type: Option<String>,
    /// Made at this date or instant or later.
    pub from: Option<String>,
    /// Made before it.
    pub to: Option<String>,
}

/// What was queued again.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"queued": 12}))]
pub struct WebhookRequeued {
    /// How many deliveries.
    pub queued: u64,
}
