//! One file per command; each does its work and says whether it held.

pub mod bench;
pub mod demo;
pub mod init;
pub mod migrate;
pub mod plan;
pub mod serve;
pub mod simulate;
pub mod statement;
pub mod verify;

/// What a command came to, where it could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is as it should be.
    Held,
    /// Something does not hold, and was printed: a failed case, a refused plan.
    DidNotHold,
}

impl From<bool> for Outcome {
    fn from(held: bool) -> Self {
        if held { Self::Held } else { Self::DidNotHold }
    }
}
