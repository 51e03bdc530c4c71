//! Who calls the referral dialect, as far as its handlers need to know.

use headwater_domain::ids::{AccountId, ProgramId};

/// An authenticated secret key.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The tenant.
    pub account: AccountId,
    /// The programs that the key may see; `None`: all.
    pub programs: Option<Vec<ProgramId>>,
    /// Whether whole IP addresses are shown.
    pub reads_personal_data: bool,
}
