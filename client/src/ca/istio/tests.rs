//! The client against a CA on a real socket.

mod anchors;
mod bundle;
mod identity;
mod line;

use std::{error::Error, fs, path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use signet_runtime::testing::eventually;
use tempfile::TempDir;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::{Code, Status};

use super::{
    test_server::{BundleReply, Pki, Reply, TestServer},
    *,
};
use crate::AnswerFault;

const CA_NAME: &str = "ca.signet.test";
const CA_ID: &str = "spiffe://cluster.local/signet/ca";

/// A CA with its root in an anchors file, and what a client needs to find it.
struct Fixture {
    pki: Pki,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { pki: Pki::new(), folder: TempDir::new().unwrap() };
        fixture.write_anchors(&fixture.pki.root_pem());
        fixture
    }

    fn anchors(&self) -> PathBuf {
        self.folder.path().join("root-cert.pem")
    }

    /// Whole at once, as a Kubernetes volume does.
    fn write_anchors(&self, pem: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, pem).unwrap();
        fs::rename(new, self.anchors()).unwrap();
    }

    async fn server(&self) -> TestServer {
        TestServer::start(self.pki.serving(CA_NAME, &[CA_ID]), Reply::Chain(self.chain())).await
    }

    /// Any two certificates: a leaf and a root.
    fn chain(&self) -> Vec<String> {
        let leaf = CertificateParams::default().self_signed(&KeyPair::generate().unwrap()).unwrap();
        vec![leaf.pem(), self.pki.root_pem()]
    }

    fn endpoint(&self, server: &TestServer) -> CaEndpoint {
        CaEndpoint {
            address: server.address.to_string(),
            server_name: CA_NAME.to_owned(),
            anchors: self.anchors(),
            spiffe_id: Some(CA_ID.parse().unwrap()),
            trust_domain: "cluster.local".parse().unwrap(),
            cluster_id: Some("blue".to_owned()),
        }
    }

    fn client(&self, server: &TestServer) -> IstioCa {
        IstioCa::with_timing(self.endpoint(server), quick()).unwrap()
    }
}

/// A CA that is near, tests that do not wait, and deadlines that a busy machine keeps.
fn quick() -> Timing {
    Timing {
        connect: Duration::from_secs(30),
        call: Duration::from_secs(30),
        pace: Pace {
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            wanted_gap: Duration::from_millis(20),
            stable: Duration::from_secs(10),
            anchors_check: Duration::from_millis(10),
        },
    }
}

/// For calls that are to fail. One that is to succeed may need more than one attempt: [`is_answered`].
fn impatient() -> Timing {
    Timing { call: Duration::from_millis(300), ..quick() }
}

async fn ask(client: &IstioCa) -> Result<Issued, CaError> {
    client.issue(&Token::new("a.genuine.token").unwrap(), "a CSR", None).await
}

/// Asks until there is an answer.
async fn is_answered(client: &IstioCa) {
    eventually("an answer", async || ask(client).await.ok()).await;
}

/// The error and all its causes, as a log shows them.
fn told(error: &CaError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test]
async fn a_call_carries_token_cluster_csr_and_lifetime() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);

    let token = Token::new("a.genuine.token").unwrap();
    let issued = client.issue(&token, "a CSR", Some(Duration::from_secs(90))).await.unwrap();

    assert_eq!((issued.chain.len(), issued.bundle.authorities().len()), (1, 1));
    server.seen(|seen| {
        let (metadata, request) = &seen.calls[0];
        assert_eq!(metadata.get("authorization").unwrap(), "Bearer a.genuine.token");
        assert_eq!(metadata.get("clusterid").unwrap(), "blue");
        assert_eq!((request.csr.as_str(), request.validity_duration), ("a CSR", 90));
    });
}

#[tokio::test]
async fn a_ca_that_hangs_fails_the_call_at_its_deadline_and_is_failing_until_it_answers() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    becomes(&client, Reachability::Reachable).await;
    server.reply(Reply::Silence);
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, CaError::Unavailable(Outage::NoAnswer { .. })), "{error:?}");
    assert_eq!(*client.reachability().borrow(), Reachability::Failing);

    server.reply(Reply::Chain(fixture.chain()));
    is_answered(&client).await;
    assert_eq!(*client.reachability().borrow(), Reachability::Reachable);
}

#[tokio::test]
async fn an_answer_that_is_no_chain_is_malformed() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.reply(Reply::Chain(vec!["hello".to_owned(), fixture.pki.root_pem()]));
    let error = ask(&client).await.unwrap_err();
    assert!(
        matches!(error, CaError::MalformedAnswer(AnswerFault::NotCertificates { index: 0 })),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_answer_larger_than_any_chain_is_not_taken_in() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.reply(Reply::Chain(vec![" ".repeat(MAX_ANSWER_BYTES), fixture.pki.root_pem()]));
    let error = ask(&client).await.unwrap_err();
    assert!(
        matches!(&error, CaError::Unavailable(Outage::Answered(refusal)) if refusal.code == Code::OutOfRange),
        "{error:?}"
    );
    assert_eq!(*client.reachability().borrow(), Reachability::Failing);
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.reply(Reply::Status(Status::unauthenticated("no")));
    assert!(matches!(ask(&client).await, Err(CaError::TokenRefused(_))));
    assert_eq!(*client.reachability().borrow(), Reachability::Reachable);
}

#[tokio::test]
async fn unavailable_is_a_word_about_one_request_and_a_ca_out_of_time_or_out_of_place_is_as_good_as_silent() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    for (status, reachability) in [
        (Status::unavailable("the keys of the token's issuer are away"), Reachability::Reachable),
        (Status::internal("a bug"), Reachability::Reachable),
        (Status::deadline_exceeded("too late"), Reachability::Failing),
        (Status::cancelled("too late"), Reachability::Failing),
        (Status::internal("a bug"), Reachability::Reachable),
        (Status::unimplemented("a server of something else"), Reachability::Failing),
        (Status::internal("a bug"), Reachability::Reachable),
        (Status::unknown("a server of something else"), Reachability::Failing),
        (Status::unavailable("the keys of the token's issuer are away"), Reachability::Reachable),
    ] {
        let told = format!("{status:?}");
        server.reply(Reply::Status(status));
        assert!(matches!(ask(&client).await, Err(CaError::Unavailable(Outage::Answered(_)))), "{told}");
        assert_eq!(*client.reachability().borrow(), reachability, "{told}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_is_refused_at_once() {
    let fixture = Fixture::new();
    let good = fixture.endpoint(&fixture.server().await);
    for (name, endpoint) in [
        ("address", CaEndpoint { address: "a b".to_owned(), ..good.clone() }),
        ("server name", CaEndpoint { server_name: "-".to_owned(), ..good.clone() }),
        ("cluster", CaEndpoint { cluster_id: Some("a\nb".to_owned()), ..good.clone() }),
    ] {
        assert!(IstioCa::new(endpoint).is_err(), "{name}");
    }
    assert!(Path::new(&good.anchors).exists());
}

async fn becomes(client: &IstioCa, wanted: Reachability) {
    let mut reachability = client.reachability();
    timeout(PATIENCE, reachability.wait_for(|now| *now == wanted)).await.unwrap().unwrap();
}

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
