//! Before a Vault that says who signs and does nothing else, and before none.

use std::net::Ipv4Addr;

use signet_backends::vault::IssuerPath;
use signet_client::Outage;
use signet_identity::{CertificateRequest, PrivateKey, testing::TestAuthority};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use tokio_util::sync::CancellationToken;

use super::{
    testing::{authority, issuer_chain, vault_config, vault_config_at},
    *,
};

/// Answers every request with its default issuer, until it is dropped.
struct Vault {
    port: u16,
    root_pem: watch::Sender<String>,
    _serving: JoinSet<()>,
}

impl Vault {
    async fn of(authority: &TestAuthority) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let root_pem = watch::Sender::new(authority.bundle().to_pem());
        let (mut serving, told) = (JoinSet::new(), root_pem.subscribe());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, told.clone()));
            }
        });
        Self { port, root_pem, _serving: serving }
    }

    fn turn_to(&self, authority: &TestAuthority) {
        self.root_pem.send_replace(authority.bundle().to_pem());
    }
}

async fn serve(stream: TcpStream, root_pem: watch::Receiver<String>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if std::mem::take(&mut line) != "\r\n" {
            continue;
        }
        let root = root_pem.borrow().clone();
        // In a string of JSON, the ends of lines are escaped as Rust shows them.
        let body = format!(
            r#"{{"data": {{"certificate": {root:?}, "ca_chain": [{root:?}], "issuer_id": "i", "issuer_name": ""}}}}"#
        );
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all([head, body].concat().as_bytes()).await.unwrap();
    }
}

fn before(config: VaultConfig) -> VaultCa {
    VaultCa::new(config, "cluster.local".parse().unwrap(), 10).unwrap().0
}

#[tokio::test]
async fn the_roots_alone_are_told_as_they_are_now_and_what_is_new_makes_whoever_hears_of_it_ask() {
    let [old, new] = [authority(), authority()];
    let vault = Vault::of(&old).await;
    let ca = before(vault_config_at(vault.port));
    let mut heard = ca.reachability();
    ca.0.look(Instant::now() + CALL_DEADLINE).await.unwrap();
    let roots = async || ca.trust_bundle().await.unwrap().unwrap().authorities().to_vec();
    let of = |authority: &TestAuthority| authority.certificate().der().clone();
    assert_eq!(roots().await, [of(&old)]);
    heard.mark_unchanged();

    assert_eq!(roots().await, [of(&old)]);
    assert!(!heard.has_changed().unwrap(), "there is nothing new");
    vault.turn_to(&new);
    assert_eq!(roots().await, [of(&old), of(&new)], "leaves under the old one live");
    assert!(heard.has_changed().unwrap());
}

#[tokio::test]
async fn the_keeper_knows_whether_vault_is_there_and_looks_at_once_when_a_call_did_not_find_it() {
    use Reachability::{Disconnected, Reachable};
    let vault = Vault::of(&authority()).await;
    for (port, states) in [(vault.port, &[Reachable, Disconnected, Reachable][..]), (1, &[Disconnected][..])]
    {
        let (ca, keeper) = VaultCa::new(vault_config_at(port), "cluster.local".parse().unwrap(), 10).unwrap();
        let (stop, mut reachability) = (CancellationToken::new(), ca.reachability());
        let seen = async {
            for state in states {
                if *state == Disconnected && port == vault.port {
                    ca.0.hear(Some(CaEvent::ConnectFailed));
                } else {
                    reachability.wait_for(|now| now == state).await.unwrap();
                }
            }
            stop.cancel();
        };
        let both = futures_util::future::join(keeper.run(stop.clone()), seen);
        tokio::time::timeout(Duration::from_secs(10), both).await.expect("the keeper does not look");
    }
}

#[tokio::test]
async fn roots_that_vault_does_not_tell_are_not_made_up_from_better_days() {
    let ca = before(vault_config());
    let known = Issuers::after(None, issuer_chain("i"), IssuerPath::OfTheRole, Instant::now());
    ca.0.issuers.send_replace(Some(known));

    let told = ca.trust_bundle().await;

    assert!(told.as_ref().is_err_and(CaError::is_absence), "{told:?}");
}

/// Its issuer is known from better days.
#[tokio::test]
async fn a_login_that_failed_leaves_no_session() {
    let ca = before(vault_config());
    let known = Issuers::after(None, issuer_chain("i"), IssuerPath::OfTheRole, Instant::now());
    ca.0.issuers.send_replace(Some(known));
    let identity = "spiffe://cluster.local/ns/a/sa/web".parse().unwrap();
    let csr = CertificateRequest::pem(&PrivateKey::generate().unwrap(), &identity).unwrap();

    let failed = ca.issue(&Token::new("a.b.c").unwrap(), &csr, None).await;

    assert!(matches!(failed, Err(CaError::Unavailable(Outage::Disconnected { .. }))), "{failed:?}");
    assert_eq!(*ca.reachability().borrow(), Reachability::Disconnected);
    assert_eq!(ca.0.sessions.count(), 0, "it would remember the failure");
}
