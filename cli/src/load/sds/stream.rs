//! One stream: it asks, hears and acknowledges.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use signet_client::sds::Credential;
use signet_proto::SECRET_TYPE_URL;
use signet_proto::envoy::config::core::v3::Node;
use signet_proto::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use tokio::time::Instant;
use tonic::Status;

use super::Plan;
use super::message::{Inbox, framed};
use super::tally::{Arrival, Novelty};

/// What the streams of a group say.
#[derive(Debug)]
pub(super) struct Ask {
    request: Request<()>,
    subscription: DiscoveryRequest,
}

impl Ask {
    /// One for each group of the plan.
    pub(super) fn all(plan: &Plan) -> Result<Vec<Arc<Self>>> {
        let nothing = plan.credentials.is_empty().then_some(None);
        let shown = plan.credentials.iter().map(Some).chain(nothing);
        shown.map(|credential| Self::new(&plan.names, credential).map(Arc::new)).collect()
    }

    fn new(names: &[String], credential: Option<&Credential>) -> Result<Self> {
        let mut request = Request::post(METHOD)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .context("a request that cannot be")?;
        if let Some(credential) = credential {
            credential.present(request.headers_mut())?;
        }
        let subscription = DiscoveryRequest {
            node: Some(Node { id: "signet".to_owned(), ..Default::default() }),
            resource_names: names.to_vec(),
            type_url: SECRET_TYPE_URL.to_owned(),
            ..Default::default()
        };
        Ok(Self { request, subscription })
    }

    fn ack(&self, response: &DiscoveryResponse) -> Bytes {
        let (version_info, response_nonce) = (response.version_info.clone(), response.nonce.clone());
        framed(&DiscoveryRequest { version_info, response_nonce, ..self.subscription.clone() })
    }
}

/// An open stream.
pub(super) struct Stream {
    ask: Arc<Ask>,
    began: Instant,
    requests: SendStream<Bytes>,
    responses: RecvStream,
    inbox: Inbox,
    version: Option<Arc<str>>,
}

impl Stream {
    /// Asks, and waits for the head of the answer.
    ///
    /// # Errors
    /// How the stream has ended instead.
    pub(super) async fn open(ask: Arc<Ask>, requests: SendRequest<Bytes>) -> Result<Self, Status> {
        let mut requests = requests.ready().await.map_err(broken)?;
        let began = Instant::now();
        let (answer, mut requests) = requests.send_request(ask.request.clone(), false).map_err(broken)?;
        requests.send_data(framed(&ask.subscription), false).map_err(broken)?;
        let answer = answer.await.map_err(broken)?;
        if let Some(end) = Status::from_header_map(answer.headers()) {
            return Err(end);
        }
        if !answer.status().is_success() {
            return Err(Status::unknown(format!("the agent answered {}", answer.status())));
        }
        let responses = answer.into_body();
        Ok(Self { ask, began, requests, responses, inbox: Inbox::default(), version: None })
    }

    /// The next secrets, which are acknowledged.
    ///
    /// # Errors
    /// How the stream has ended.
    pub(super) async fn next(&mut self) -> Result<Arrival, Status> {
        loop {
            if let Some(response) = self.inbox.next::<DiscoveryResponse>()? {
                return self.take(&response);
            }
            match self.responses.data().await {
                Some(bytes) => {
                    let bytes = bytes.map_err(broken)?;
                    self.responses.flow_control().release_capacity(bytes.len()).map_err(broken)?;
                    self.inbox.put(&bytes);
                }
                None => return Err(self.end().await),
            }
        }
    }

    /// What it got last.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn take(&mut self, response: &DiscoveryResponse) -> Result<Arrival, Status> {
        let at = Instant::now();
        if response.resources.is_empty() {
            return Err(Status::internal("the agent sent a response without secrets"));
        }
        self.requests.send_data(self.ask.ack(response), false).map_err(broken)?;
        let version: Arc<str> = response.version_info.as_str().into();
        let novelty = match self.version.replace(Arc::clone(&version)) {
            None => Novelty::First(at - self.began),
            Some(before) if before == version => Novelty::Same,
            Some(_) => Novelty::Changed,
        };
        Ok(Arrival { version, at, novelty })
    }

    async fn end(&mut self) -> Status {
        match self.responses.trailers().await {
            Ok(Some(trailers)) => Status::from_header_map(&trailers)
                .unwrap_or_else(|| Status::unknown("the agent ended the stream without a status")),
            Ok(None) => Status::unknown("the agent ended the stream without a status"),
            Err(error) => broken(error),
        }
    }
}

fn broken(error: h2::Error) -> Status {
    Status::unavailable(format!("the connection broke: {error}"))
}

/// What gRPC sends over a Unix socket; h2 refuses the path of the socket as an authority.
const METHOD: &str = "http://localhost/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
