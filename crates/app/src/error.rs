//! What an operation can answer beside its result. Knows no HTTP: a dialect gives it a status and a body.

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter cannot be used: its name, and what to do.
    #[error("{param} {message}")]
    Invalid {
        /// The parameter's path in the request.
        param: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// No such object, or one of another account: the noun.
    #[error("no {0} matches")]
    NotFound(&'static str),
    /// A list cannot go on after the object that the caller names: there is none, or it is another account's.
    #[error("the cursor names no object of this list")]
    UnknownCursor,
    /// The state of things does not allow it: a code and a sentence.
    #[error("{message}")]
    Conflict {
        /// A stable code.
        code: &'static str,
        /// The parameter at fault, if one is.
        param: Option<&'static str>,
        /// What is wrong.
        message: String,
    },
    /// The credential has no right to it.
    #[error("{message}")]
    Forbidden {
        /// The parameter at fault, if one is.
        param: Option<&'static str>,
        /// Which right is missing.
        message: String,
    },
    /// Too much work waits; a retry is safe.
    #[error("too much work is waiting")]
    Busy,
    /// The store failed; a retry is safe.
    #[error(transparent)]
    Store(headwater_store::backend::Error),
}

impl From<headwater_store::backend::Error> for Error {
    fn from(error: headwater_store::backend::Error) -> Self {
        match error {
            headwater_store::backend::Error::Busy => Self::Busy,
            other => Self::Store(other),
        }
    }
}

impl Error {
    /// A parameter that cannot be used.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { param: param.into(), message: message.into() }
    }
}

/// A result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
