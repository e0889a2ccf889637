//! A stream of secrets, by either protocol, and why there is none.

use std::error::Error;
use std::io::ErrorKind;

use anyhow::{Result, anyhow};
use signet_client::sds::{DeltaStream, Push, SdsClient, SdsError, SecretStream};
use tonic::{Code, Status};

use crate::flags::AgentFlags;
use crate::output::printable;
use crate::refused::Refused;

/// What is subscribed to, and how.
#[derive(Debug)]
pub(crate) struct Subscription {
    agent: AgentFlags,
    names: Vec<String>,
    variant: Variant,
}

/// The two protocols of SDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    StateOfTheWorld,
    Delta,
}

/// A stream and the connection that carries it.
pub(crate) struct Stream {
    secrets: Secrets,
    _connection: SdsClient,
}

enum Secrets {
    StateOfTheWorld(SecretStream),
    Delta(DeltaStream),
}

impl Subscription {
    pub(crate) fn new(agent: AgentFlags, names: Vec<String>, variant: Variant) -> Self {
        Self { agent, names, variant }
    }

    /// The names, as they were given.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Connects and subscribes. The token is read anew each time, as a proxy does.
    pub(crate) async fn open(&self) -> Result<Stream> {
        let credentials = self.agent.credentials()?;
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let connection = SdsClient::connect(self.agent.socket()).await?;
        let secrets = match self.variant {
            Variant::StateOfTheWorld => {
                Secrets::StateOfTheWorld(connection.stream(&names, &credentials).await?)
            }
            Variant::Delta => Secrets::Delta(connection.delta(&names, &credentials).await?),
        };
        Ok(Stream { secrets, _connection: connection })
    }
}

impl Stream {
    /// The next push, which is accepted as a proxy would. `None`: the agent ended the stream with OK.
    pub(crate) async fn next(&mut self) -> Result<Option<Push>> {
        let push = match &mut self.secrets {
            Secrets::StateOfTheWorld(stream) => stream.next().await?,
            Secrets::Delta(stream) => stream.next().await?,
        };
        if let Some(push) = &push {
            match &self.secrets {
                Secrets::StateOfTheWorld(stream) => stream.ack(push).await,
                Secrets::Delta(stream) => stream.ack(push).await,
            }
        }
        Ok(push)
    }
}

/// The agent's "no", if that is what the error is.
pub(crate) fn refused(error: &anyhow::Error) -> Option<Refused> {
    let Some(SdsError::Ended(status)) = error.downcast_ref() else { return None };
    let what = "The agent gives no secret";
    let by = |remedy: &str| Some(Refused::by_status(what, status, remedy.to_owned()));
    match status.code() {
        Code::Unauthenticated => by(
            "it does not take the token, or was shown none: give --token-file; `signet token inspect` shows issuer, \
             audience and end",
        ),
        Code::PermissionDenied => {
            by("the token is another workload's: ask for `default`, or show that one's token")
        }
        Code::NotFound | Code::InvalidArgument => by("ask for a name that it serves"),
        _ => None,
    }
}

/// In words that name the remedy.
pub(crate) fn told(error: anyhow::Error) -> anyhow::Error {
    let flag = "give another with --socket, or SIGNET_SOCKET";
    match error.downcast_ref() {
        Some(SdsError::Connect { socket, source }) => {
            let socket = socket.display();
            match source.kind() {
                ErrorKind::NotFound => anyhow!("there is no socket {socket}: start the agent, or {flag}"),
                ErrorKind::PermissionDenied => anyhow!(
                    "you may not open the socket {socket}: run as the user whom the agent serves there (`mode` and \
                     `allowed_uids` of its [[socket]])"
                ),
                ErrorKind::ConnectionRefused => {
                    anyhow!("nobody listens on {socket}, whoever made it is gone: start the agent, or {flag}")
                }
                _ => error,
            }
        }
        Some(SdsError::Http2(_)) => {
            anyhow!("what listens there speaks no HTTP/2, so it is no SDS server: {flag}")
        }
        Some(SdsError::Ended(status)) => ended(status, flag),
        _ => error,
    }
}

fn ended(status: &Status, flag: &str) -> anyhow::Error {
    let (code, message) = (status.code(), printable(status.message()));
    match code {
        // No status that came over the wire.
        _ if status.source().is_some() => anyhow!(
            "the connection to the agent broke ({message}): if it always does, what listens there is no SDS server, and {flag}"
        ),
        Code::Unimplemented => anyhow!("what listens there serves no SDS ({message}): {flag}"),
        Code::Unavailable => anyhow!("the agent cannot serve now: {message}"),
        _ => anyhow!("the stream ended: {code:?} {message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn each_way_to_have_no_agent_names_its_remedy() {
        let socket =
            |kind| SdsError::Connect { socket: PathBuf::from("/run/a.sock"), source: io::Error::from(kind) };
        let ended = |status| SdsError::Ended(Box::new(status));
        let broken = Status::from_error(Box::new(io::Error::from(ErrorKind::BrokenPipe)));
        for (error, parts) in [
            (socket(ErrorKind::NotFound), ["there is no socket /run/a.sock", "start the agent"]),
            (
                socket(ErrorKind::PermissionDenied),
                ["you may not open the socket /run/a.sock", "allowed_uids"],
            ),
            (socket(ErrorKind::ConnectionRefused), ["nobody listens on /run/a.sock", "start the agent"]),
            (ended(broken), ["broke", "--socket"]),
            (ended(Status::unimplemented("no such service")), ["serves no SDS", "--socket"]),
            (ended(Status::unavailable("the CA is away")), ["cannot serve now", "the CA is away"]),
        ] {
            let told = told(error.into()).to_string();
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        }
    }

    #[test]
    fn a_no_of_the_agent_is_an_answer_and_a_fault_is_none() {
        for (status, is_refusal) in [
            (Status::unauthenticated("no token"), true),
            (Status::permission_denied("another's"), true),
            (Status::not_found("no secret"), true),
            (Status::unavailable("the CA is away"), false),
            (Status::internal("a bug"), false),
        ] {
            let error = SdsError::Ended(Box::new(status)).into();
            assert_eq!(refused(&error).is_some(), is_refusal, "{error}");
        }
    }
}
