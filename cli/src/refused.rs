//! A "no" of somebody who was asked over gRPC: an answer, and not what was hoped for.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use signet_client::Refusal;
use signet_proto::metadata::REQUEST_ID;
use tonic::{Code, Status};

use crate::output::{BAD, json_seconds_if_known, printable, span, status_name, styled, wrapped};

/// What was refused, in whose words, and what to do about it.
#[derive(Debug, Serialize)]
pub(crate) struct Refused {
    held: bool,
    #[serde(skip)]
    what: &'static str,
    refused: Word,
}

#[derive(Debug, Serialize)]
struct Word {
    status: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(
        rename = "retry_after_seconds",
        serialize_with = "json_seconds_if_known",
        skip_serializing_if = "Option::is_none"
    )]
    retry_after: Option<Duration>,
    remedy: String,
}

impl Refused {
    /// `what` did not come about, for a sentence of its own.
    pub(crate) fn new(what: &'static str, refusal: Refusal, remedy: String) -> Self {
        let Refusal { code, message, request_id, retry_after } = refusal;
        let status = status_name(code);
        Self { held: false, what, refused: Word { status, message, request_id, retry_after, remedy } }
    }

    /// The same for a status as it came.
    pub(crate) fn by_status(what: &'static str, status: &Status, remedy: String) -> Self {
        let request_id = status.metadata().get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let (code, message) = (status.code(), status.message().to_owned());
        Self::new(what, Refusal { code, message, request_id, retry_after: None }, remedy)
    }

    /// An answer that makes no sense.
    pub(crate) fn senseless(what: &'static str, fault: String, remedy: String) -> Self {
        Self::new(
            what,
            Refusal { code: Code::Ok, message: fault, request_id: None, retry_after: None },
            remedy,
        )
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Word { status, message, request_id, retry_after, remedy } = &self.refused;
        writeln!(f, "{}", styled(BAD.bold(), self.what))?;
        writeln!(f, "  status    {status}")?;
        writeln!(f, "  message   {}", wrapped(12, &printable(message)))?;
        if let Some(id) = request_id {
            writeln!(f, "  request   {}", printable(id))?;
        }
        if let Some(wait) = retry_after {
            writeln!(f, "  again in  {}", span(*wait))?;
        }
        writeln!(f, "  remedy    {}", wrapped(12, remedy))
    }
}
