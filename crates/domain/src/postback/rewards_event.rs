//! The event types of the rewards dialect: `{entity}.{action}` (`rewards-api.md` §10).
//!
//! Types that were published later or dropped are all known. Invariant: the table is sorted by entity and holds no name
//! twice.

/// Each entity with what can follow its name.
const ENTITIES: [(&str, &[&str]); 8] = [
    ("commission", &["created", "updated", "deleted", "approved", "pending", "denied"]),
    ("contract_document", &["signed"]),
    ("payments_batch", &["created", "updated", "deleted", "initiated", "processing", "completed", "failed"]),
    (
        "payout",
        &[
            "created",
            "updated",
            "deleted",
            "commissions.created",
            "commissions.updated",
            "commissions.deleted",
            "pending",
            "processing",
            "completed",
            "failed",
            "cancelled",
            "commissions.added",
            "commissions.removed",
        ],
    ),
    ("payout_method", &["created", "updated", "deleted"]),
    ("promoter", &["created", "updated", "deleted", "balance.updated", "profile.updated"]),
    ("promoter_campaign", &["created", "updated", "deleted", "accepted", "pending", "rejected", "blocked", "inactive"]),
    ("referral", &["created", "updated", "deleted", "moved", "converted", "cancelled"]),
];

/// The older way to hear of a reward that is to be delivered: the answer 200 says that it was. Asked for by name alone, so
/// that nobody says so by hearing of everything.
pub const FULFILMENT_PENDING: &str = "fulfilment_pending";

/// All names but [`FULFILMENT_PENDING`], sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<_> = ENTITIES
        .iter()
        .flat_map(|(entity, actions)| actions.iter().map(move |action| format!("{entity}.{action}")))
        .collect();
    names.sort_unstable();
    names
}

/// Whether there is such a type.
pub fn is_known(name: &str) -> bool {
    name == FULFILMENT_PENDING || parts(name).is_some()
}

/// The entity of a type, and the action that its envelope names: names of states have action `updated`.
pub fn parts(name: &str) -> Option<(&'static str, &'static str)> {
    let (entity, rest) = name.split_once('.')?;
    let (entity, actions) = ENTITIES.iter().find(|(known, _)| *known == entity)?;
    let action = actions.iter().find(|known| **known == rest)?;
    let action = match *action {
        "created" | "deleted" => action,
        _ => "updated",
    };
    Some((entity, action))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_whole() {
        let names = names();
        assert!(names.is_sorted_by(|a, b| a < b), "sorted, none twice");
        assert!(names.iter().all(|name| is_known(name)));
        assert!(is_known(FULFILMENT_PENDING) && !names.iter().any(|name| name == FULFILMENT_PENDING));
        for name in [
            "commission.created",
            "commission.updated",
            "payout.updated",
            "payout.commissions.added",
            "contract_document.signed",
        ] {
            assert!(is_known(name), "{name}");
        }
        for name in [
            "",
            "commission",
            "commission.",
            "commission.paid",
            "event.created",
            "payout.commissions",
            "Commission.created",
        ] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn names_of_states_are_updates() {
        assert_eq!(parts("commission.approved"), Some(("commission", "updated")));
        assert_eq!(parts("payout.commissions.deleted"), Some(("payout", "updated")));
        assert_eq!(parts("promoter.deleted"), Some(("promoter", "deleted")));
        assert_eq!(parts("referral.created"), Some(("referral", "created")));
    }
}
