//! The client against a CA on a real socket.

use std::{fs, path::Path};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{
    test_server::{Pki, Reply, TestServer},
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

/// A CA that is near, and tests that do not wait.
fn quick() -> Timing {
    Timing {
        connect: Duration::from_secs(2),
        call: Duration::from_secs(2),
        pace: Pace {
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
            wanted_gap: Duration::from_millis(20),
            stable: Duration::from_secs(10),
            anchors_check: Duration::from_millis(10),
        },
    }
}

fn impatient() -> Timing {
    Timing { call: Duration::from_millis(300), ..quick() }
}

async fn ask(client: &IstioCa) -> Result<Issued, CaError> {
    client.issue(&Token::new("a.genuine.token").unwrap(), "a CSR", None).await
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
async fn all_calls_share_one_connection() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = Arc::new(fixture.client(&server));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let client = Arc::clone(&client);
        calls.spawn(async move { ask(&client).await.map(drop) });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(server.seen(|seen| (seen.connections, seen.calls.len())), (1, 50));
}

#[tokio::test]
async fn a_server_that_is_not_the_ca_gets_no_token() {
    let fixture = Fixture::new();
    let (ours, theirs) = (&fixture.pki, Pki::new());
    let workload = "spiffe://cluster.local/ns/foo/sa/bar";
    for (name, serving, reason) in [
        ("under another root of that name", theirs.serving(CA_NAME, &[CA_ID]), "BadSignature"),
        ("with another name", ours.serving("other.signet.test", &[CA_ID]), "not valid for name"),
        ("expired", ours.serving_until(CA_NAME, &[CA_ID], 2001), "expired"),
        ("a workload that was granted the name", ours.serving(CA_NAME, &[workload]), workload),
        ("without a SPIFFE ID", ours.serving(CA_NAME, &[]), "SPIFFE ID is ``"),
        ("with a second SPIFFE ID", ours.serving(CA_NAME, &[CA_ID, workload]), workload),
    ] {
        let server = TestServer::start(serving, Reply::Chain(fixture.chain())).await;
        let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
        let error = ask(&client).await.unwrap_err();
        assert!(matches!(error, CaError::Unavailable(Outage::Disconnected { .. })), "{name}: {error:?}");
        assert!(told(&error).contains(reason), "{name}: {}", told(&error));
        assert_eq!(*client.reachability().borrow(), Reachability::Disconnected, "{name}");
        assert_eq!(server.seen(|seen| seen.calls.len()), 0, "{name}");
    }
}

#[tokio::test]
async fn a_ca_of_another_kind_needs_no_spiffe_id() {
    let fixture = Fixture::new();
    let server = TestServer::start(fixture.pki.serving(CA_NAME, &[]), Reply::Chain(fixture.chain())).await;
    let endpoint = CaEndpoint { spiffe_id: None, ..fixture.endpoint(&server) };
    ask(&IstioCa::with_timing(endpoint, quick()).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_ca_that_hangs_fails_the_call_at_its_deadline_and_is_failing_until_it_answers() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    server.reply(Reply::Silence);
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, CaError::Unavailable(Outage::NoAnswer { .. })), "{error:?}");
    assert_eq!(*client.reachability().borrow(), Reachability::Failing);

    server.reply(Reply::Chain(fixture.chain()));
    ask(&client).await.unwrap();
    assert_eq!(*client.reachability().borrow(), Reachability::Reachable);
}

#[tokio::test]
async fn a_ca_that_accepts_and_says_nothing_is_a_failed_connection() {
    let fixture = Fixture::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut endpoint = fixture.endpoint(&fixture.server().await);
    endpoint.address = silent.local_addr().unwrap().to_string();
    let timing = Timing { connect: Duration::from_millis(50), ..impatient() };
    let error = ask(&IstioCa::with_timing(endpoint, timing).unwrap()).await.unwrap_err();
    assert!(told(&error).contains("no connection within 50ms"), "{}", told(&error));
}

#[tokio::test]
async fn at_the_end_of_a_connections_age_answers_under_way_arrive_and_the_next_call_finds_a_new_one() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = Arc::new(fixture.client(&server));
    let (tell, told) = watch::channel(false);
    server.reply(Reply::OnceTold(told, fixture.chain()));
    let mut under_way = JoinSet::new();
    under_way.spawn({
        let client = Arc::clone(&client);
        async move { ask(&client).await.map(drop) }
    });
    until(|| server.seen(|seen| seen.calls.len()) == 1).await;

    server.go_away();
    server.reply(Reply::Chain(fixture.chain()));
    // The old connection is still up, for the first call's sake.
    while server.seen(|seen| seen.connections) == 1 {
        ask(&client).await.unwrap();
    }
    tell.send_replace(true);
    under_way.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn calls_never_fail_while_connections_come_to_their_age() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    for round in 0..50 {
        server.go_away();
        ask(&client).await.unwrap_or_else(|error| panic!("round {round}: {}", told(&error)));
    }
    assert!(server.seen(|seen| seen.connections) > 1);
}

#[tokio::test]
async fn a_refused_stream_is_sent_once_more_and_only_once() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.refuse_streams(1);
    ask(&client).await.unwrap();
    server.refuse_streams(2);
    let error = ask(&client).await.unwrap_err();
    assert!(matches!(error, CaError::Unavailable(Outage::Broken { .. })), "{error:?}");
    assert_eq!(server.seen(|seen| seen.calls.len()), 1);
}

#[tokio::test]
async fn a_waiting_call_does_not_wait_for_the_backoff() {
    let fixture = Fixture::new();
    let mut endpoint = fixture.endpoint(&fixture.server().await);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    endpoint.address = nobody.to_string();
    let mut timing = quick();
    (timing.pace.first_wait, timing.pace.longest_wait) = (DAY, DAY);
    let client = IstioCa::with_timing(endpoint, timing).unwrap();
    client.reachability().wait_for(|now| *now == Reachability::Disconnected).await.unwrap();

    let serving = fixture.pki.serving(CA_NAME, &[CA_ID]);
    let _server = TestServer::start_at(nobody, serving, Reply::Chain(fixture.chain())).await;
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn the_cas_return_is_seen_though_nobody_calls() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    let (address, mut reachability) = (server.address, client.reachability());
    reachability.wait_for(|now| *now == Reachability::Reachable).await.unwrap();
    drop(server);
    reachability.wait_for(|now| *now == Reachability::Disconnected).await.unwrap();
    let _server = TestServer::start_at(address, fixture.pki.serving(CA_NAME, &[CA_ID]), Reply::Silence).await;
    reachability.wait_for(|now| *now == Reachability::Reachable).await.unwrap();
}

#[tokio::test]
async fn anchors_that_are_missing_are_named_and_taken_once_they_appear() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    fs::remove_file(fixture.anchors()).unwrap();
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    let error = ask(&client).await.unwrap_err();
    let path = fixture.anchors().display().to_string();
    assert!(told(&error).contains(&path) && told(&error).contains("put the CA's root"), "{}", told(&error));

    fixture.write_anchors(&fixture.pki.root_pem());
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn changed_anchors_end_the_connection_that_the_old_ones_vouched_for() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    ask(&client).await.unwrap();

    let mut reachability = client.reachability();
    fixture.write_anchors(&Pki::new().root_pem());
    reachability.wait_for(|now| *now == Reachability::Disconnected).await.unwrap();
    assert!(told(&ask(&client).await.unwrap_err()).contains("invalid peer certificate"));

    fixture.write_anchors(&(Pki::new().root_pem() + &fixture.pki.root_pem()));
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn anchors_that_turn_unusable_leave_the_connection_as_it_is() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    ask(&client).await.unwrap();
    for content in ["", "half a certif"] {
        fixture.write_anchors(content);
        sleep(5 * quick().pace.anchors_check).await;
        ask(&client).await.unwrap();
    }
    assert_eq!(server.seen(|seen| seen.connections), 1);
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
    assert!(ask(&client).await.is_err());
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    server.reply(Reply::Status(Status::unauthenticated("no")));
    assert!(matches!(ask(&client).await, Err(CaError::TokenRefused(_))));
    assert_eq!(*client.reachability().borrow(), Reachability::Reachable);
    server.reply(Reply::Status(Status::unavailable("the audit log is full")));
    assert!(matches!(ask(&client).await, Err(CaError::Unavailable(Outage::Answered(_)))));
    assert_eq!(*client.reachability().borrow(), Reachability::Failing);
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

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        sleep(Duration::from_millis(1)).await;
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);
