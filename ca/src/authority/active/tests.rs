//! An authority elsewhere that answers wrongly: refused, audited, never handed out.

use std::{pin::pin, time::SystemTime};

use async_trait::async_trait;
use futures_util::FutureExt;
use rustls_pki_types::CertificateDer;
use signet_identity::{
    PrivateKey,
    testing::{TestAuthority, TestLeaf, approved, caller},
};

use super::*;
use crate::{
    audit::{Requester, testing::LogOnDisk},
    authority::{Authority, IssueRequest, Standing},
};

const HOUR: Duration = Duration::from_secs(3600);

type Change = fn(TestLeaf<'_>, SystemTime) -> TestLeaf<'_>;

/// Signs what was approved, but for one change, and may answer with another chain.
struct Foreigner {
    authority: TestAuthority,
    change: Change,
    for_another_key: bool,
    answer: fn(Vec<CertificateDer<'static>>, &TestAuthority) -> Vec<CertificateDer<'static>>,
}

#[async_trait]
impl Issuer for Foreigner {
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        _deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let other = PrivateKey::generate().unwrap();
        let key = if self.for_another_key { other.public_key() } else { approved.public_key() };
        let leaf = (self.change)(self.authority.leaf(key, approved.identity(), now), now);
        Ok((self.answer)(leaf.sign(), &self.authority))
    }
}

/// Has `foreigner` sign for a workload; what becomes of it, and the audit. Its root is published; leaves may be issued
/// under the root of `may_sign`, if that is another.
async fn issued(foreigner: Foreigner, may_sign: Option<&TestAuthority>) -> (Result<(), String>, Vec<String>) {
    issued_with_doubts(foreigner, may_sign, None).await
}

/// The same where `doubts` are told to somebody.
async fn issued_with_doubts(
    foreigner: Foreigner,
    may_sign: Option<&TestAuthority>,
    doubts: Option<&Arc<Notify>>,
) -> (Result<(), String>, Vec<String>) {
    let log = LogOnDisk::new();
    let now = signet_identity::Clock::now(&*log.clock);
    let (bundle, own) = (may_sign.unwrap_or(&foreigner.authority).bundle(), foreigner.authority.bundle());
    let roots = [bundle.authorities(), own.authorities()].concat();
    let published = TrustBundle::new(bundle.trust_domain().clone(), roots, None).unwrap();
    let certificate = foreigner.authority.certificate().clone();
    let foreign = Foreign { workloads: Arc::new(foreigner), serving: None, doubts: doubts.cloned() };
    let active = Active::there(foreign, certificate, bundle);
    let authority =
        Authority::new(Standing::new(Some(active), published), log.open(), Arc::clone(&log.clock) as _);
    let caller = caller(&"cluster.local".parse().unwrap(), "shop", "orders", now);
    let (approved, _key) = approved(&caller, HOUR);
    let request = IssueRequest {
        request_id: signet_runtime::RequestId::random(),
        requester: Requester::Caller { caller: Arc::new(caller), peer: None },
        approved,
        deadline: Instant::now() + HOUR,
        place: None,
    };
    let outcome = authority.issue(request).await.map(drop);
    (outcome.map_err(|error| signet_runtime::telemetry::chain(&error).to_string()), log.events())
}

fn honest() -> Foreigner {
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let authority = TestAuthority::new("cluster.local", now).intermediate(now);
    Foreigner { authority, change: |leaf, _| leaf, for_another_key: false, answer: |chain, _| chain }
}

#[tokio::test]
async fn an_honest_answer_is_handed_out() {
    let (outcome, events) = issued(honest(), None).await;

    assert_eq!(outcome, Ok(()));
    assert_eq!(events, ["started", "signing", "issued"]);
}

#[tokio::test]
async fn an_answer_may_be_longer_than_granted_by_what_two_clocks_differ() {
    let change: Change = |leaf, now| leaf.valid(now, now + HOUR + Duration::from_secs(60));
    let (outcome, _) = issued(Foreigner { change, ..honest() }, None).await;

    assert_eq!(outcome, Ok(()));
}

#[test]
fn whoever_signs_for_workloads_only_is_not_asked_for_the_cas_own_certificate() {
    let foreign = Foreign { workloads: Arc::new(honest()), serving: None, doubts: None };

    let refused = foreign.issuer_for(&Requester::Authority).err();

    assert!(matches!(refused, Some(IssueError::NoServingIssuer)), "{refused:?}");
}

#[tokio::test]
async fn a_wrong_answer_is_refused_and_audited_and_never_handed_out() {
    let changes: [(&str, Change, &str); 7] = [
        (
            "another identity",
            |leaf, _| leaf.uris(&["spiffe://cluster.local/ns/shop/sa/admin"]),
            "is for \"spiffe",
        ),
        (
            "a second identity",
            |leaf, _| {
                leaf.uris(&["spiffe://cluster.local/ns/shop/sa/orders", "spiffe://cluster.local/ns/a/sa/b"])
            },
            "2 URI SANs",
        ),
        ("no identity", |leaf, _| leaf.uris(&[]), "0 URI SANs"),
        ("a CA certificate", |leaf, _| leaf.ca(), "is a CA's"),
        ("expired", |leaf, now| leaf.valid(now - 2 * HOUR, now - HOUR), "has expired"),
        ("not yet valid", |leaf, now| leaf.valid(now + HOUR, now + 2 * HOUR), "not yet valid"),
        ("longer than granted", |leaf, now| leaf.valid(now, now + 2 * HOUR), "later than was asked for"),
    ];
    let changed = changes.map(|(lie, change, reason)| (lie, Foreigner { change, ..honest() }, reason));
    let others = [
        ("another key", Foreigner { for_another_key: true, ..honest() }, "another key"),
        ("nothing", Foreigner { answer: |_, _| Vec::new(), ..honest() }, "is empty"),
        (
            "no intermediate",
            Foreigner { answer: |chain, _| chain[..1].to_vec(), ..honest() },
            "does not lead to",
        ),
        (
            "its own certificate",
            Foreigner { answer: |_, own| vec![own.certificate().der().clone()], ..honest() },
            "CA",
        ),
    ];
    for (lie, foreigner, reason) in changed.into_iter().chain(others) {
        let (outcome, events) = issued(foreigner, None).await;
        assert!(outcome.as_ref().is_err_and(|error| error.contains(reason)), "{lie}: {outcome:?}");
        assert_eq!(events, ["started", "signing", "failed"], "{lie}");
    }
}

#[tokio::test]
async fn a_leaf_under_a_root_whose_time_has_not_come_is_refused() {
    let other = honest();

    let (outcome, events) = issued(honest(), Some(&other.authority)).await;

    assert!(outcome.is_err_and(|error| error.contains("does not lead to a valid authority")));
    assert_eq!(events, ["started", "signing", "failed"]);
}

#[tokio::test]
async fn an_answer_under_another_root_is_told_of_where_somebody_else_chooses_the_issuer() {
    let (other, doubts) = (honest(), Arc::new(Notify::new()));
    let mut told = pin!(doubts.notified());

    let (outcome, events) = issued_with_doubts(honest(), Some(&other.authority), Some(&doubts)).await;

    assert!(outcome.is_err_and(|error| error.contains("Set `vault.issuer`")));
    assert_eq!(events, ["started", "signing", "failed"]);
    assert_eq!(told.as_mut().now_or_never(), Some(()));
}

#[tokio::test]
async fn an_answer_that_is_wrong_in_another_way_tells_of_no_other_issuer() {
    let doubts = Arc::new(Notify::new());
    let mut told = pin!(doubts.notified());

    let foreigner = Foreigner { for_another_key: true, ..honest() };
    let (outcome, _) = issued_with_doubts(foreigner, None, Some(&doubts)).await;

    assert!(outcome.is_err_and(|error| error.contains("peers would refuse")));
    assert_eq!(told.as_mut().now_or_never(), None);
}
