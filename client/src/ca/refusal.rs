//! A "no" of the CA, as it may be shown.

use std::{fmt, time::Duration};

use tonic::Code;

/// What the CA said when it did not issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status.
    pub code: Code,
    /// The CA's words, cut to what fits a log line; the CA wrote them, so they are not to be trusted.
    pub message: String,
    /// Finds the request in the CA's log.
    pub request_id: Option<String>,
    /// When the CA wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.code, self.message)?;
        match &self.request_id {
            Some(id) => write!(f, " (request id {id})"),
            None => Ok(()),
        }
    }
}
