//! One call over the line, within its deadline, sent once more if the CA never saw it.

use std::{error::Error, sync::Arc, time::Duration};

use h2::Reason;
use tokio::time::{Instant, timeout_at};
use tonic::{Response, Status};

use super::{answer, connect::ConnectError, line::Line};
use crate::{CaError, Outage, http2::Sender};

/// Makes calls to the CA at `address`.
#[derive(Debug)]
pub(crate) struct Caller {
    /// `host:port`.
    pub(crate) address: String,
    /// Of a call, a wait for a connection included.
    pub(crate) deadline: Duration,
    pub(crate) line: Line,
}

impl Caller {
    /// The CA's answer to what `call` sends within the time that it is told.
    pub(crate) async fn ask<A, F>(&self, call: impl Fn(Sender, Duration) -> F) -> Result<Response<A>, CaError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let deadline = Instant::now() + self.deadline;
        let outcome = match self.attempt(&call, deadline).await {
            Err(Failure::NeverSeen(_)) => self.attempt(&call, deadline).await,
            outcome => outcome,
        };
        outcome.map_err(Failure::into_error)
    }

    async fn attempt<A, F>(
        &self,
        call: &impl Fn(Sender, Duration) -> F,
        deadline: Instant,
    ) -> Result<Response<A>, Failure>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let sender = self.line.sender(deadline).await;
        let sender = sender.map_err(|reason| Failure::Final(self.disconnected(reason)))?;
        match timeout_at(deadline, call(sender, deadline.duration_since(Instant::now()))).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(status)) if was_never_seen(&status) => Err(Failure::NeverSeen(self.broken(status))),
            Ok(Err(status)) if status.source().is_some() => Err(Failure::Final(self.broken(status))),
            Ok(Err(status)) => Err(Failure::Final(answer::refused(&status))),
            Err(_) => Err(Failure::Final(CaError::Unavailable(Outage::NoAnswer {
                address: self.address.clone(),
                deadline: self.deadline,
            }))),
        }
    }

    /// There is no connection, for this reason if one is known.
    pub(crate) fn disconnected(&self, reason: Option<Arc<ConnectError>>) -> CaError {
        CaError::Unavailable(Outage::Disconnected {
            address: self.address.clone(),
            source: reason.map(|reason| reason as Arc<dyn Error + Send + Sync>),
        })
    }

    fn broken(&self, status: Status) -> CaError {
        CaError::Unavailable(Outage::Broken { address: self.address.clone(), source: Arc::new(status) })
    }
}

/// A call that brought no answer.
enum Failure {
    /// The CA did not begin to work on it: asking again cannot issue twice.
    NeverSeen(CaError),
    Final(CaError),
}

impl Failure {
    fn into_error(self) -> CaError {
        match self {
            Self::NeverSeen(error) | Self::Final(error) => error,
        }
    }
}

/// The request was still queued when the connection ended, or its stream came after the last one that the CA
/// took (RFC 9113 §6.8), or was refused (§8.7).
fn was_never_seen(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.reason() == Some(Reason::REFUSED_STREAM)
                || (error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR));
        }
        cause = error.source();
    }
    false
}
