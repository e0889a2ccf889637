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
        // Signet's own CA says it in the message too, for clients that do not show metadata.
        match &self.request_id {
            Some(id) if !self.message.contains(id) => write!(f, " (request id {id})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_id_is_shown_once() {
        for (message, shown) in [
            ("no", "PermissionDenied \"no\" (request id r-7)"),
            ("no (request r-7)", "PermissionDenied \"no (request r-7)\""),
        ] {
            let refusal = Refusal {
                code: Code::PermissionDenied,
                message: message.to_owned(),
                request_id: Some("r-7".to_owned()),
                retry_after: None,
            };
            assert_eq!(refusal.to_string(), shown);
        }
    }
}
