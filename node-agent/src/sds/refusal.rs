//! How the agent says no: with a request id, which is in the proxy's log and in ours.

use std::{error::Error, sync::Arc, time::Duration};

use signet_proto::metadata::REQUEST_ID;
use signet_runtime::{RequestId, line_limit::LineLimit};
use tonic::Status;

/// Gives refusals their names. Clones share one bound on log lines.
#[derive(Debug, Clone)]
pub(super) struct Refusals(Arc<LineLimit>);

impl Refusals {
    pub(super) fn new() -> Self {
        Self(Arc::new(LineLimit::new(BURST, PACE)))
    }

    /// The same refusal with a request id, in its text because Envoy logs nothing else, and in its metadata under
    /// [`REQUEST_ID`]. What only says that the peer has gone is no refusal, and stays as it is.
    pub(super) fn name(&self, status: Status) -> Status {
        if status.source().is_some() {
            return status;
        }
        let (request_id, code, reason) = (RequestId::random(), status.code(), status.message());
        if let Some(suppressed) = self.0.admit() {
            tracing::info!(%request_id, ?code, reason, suppressed, "a request for secrets is refused");
        }
        let mut named = Status::new(code, request_id.named(reason));
        request_id.add_to(named.metadata_mut(), REQUEST_ID);
        named
    }
}

/// Lines at once, and the pace of further ones.
const BURST: u32 = 20;
const PACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_refusal_carries_the_same_id_in_text_and_metadata() {
        let named = Refusals::new().name(Status::not_found("no secret `x`"));

        let id = named.metadata().get(REQUEST_ID).unwrap().to_str().unwrap();
        assert_eq!(named.code(), Code::NotFound);
        assert_eq!(named.message(), format!("no secret `x` (request {id})"));
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_not_refused() {
        let gone = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));

        assert!(Refusals::new().name(gone).metadata().get(REQUEST_ID).is_none());
    }
}
