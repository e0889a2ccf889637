//! How each record reads.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use signet_identity::{
    Ask, CertificateRequest, Csr, IssuingPolicy, Pod, PrivateKey, SpiffeId, TrustDomain, approve,
    jwt::{self, DevelopmentIssuer, Jwks, TokenRequest, TokenRules},
};

use super::*;

const AUDIENCE: &str = "istio-ca";
const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)), 4711);

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_800_000_000_250)
}

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

/// Who a real token says is calling.
fn caller(pod: Pod) -> Arc<Caller> {
    let issuer = "https://kubernetes.default.svc".to_owned();
    let development = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), issuer.clone());
    let request = TokenRequest {
        namespace: "shop".to_owned(),
        service_account: "cart".to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        lifetime: Duration::from_secs(60),
        pod,
    };
    let token = development.mint(&request, start()).unwrap();
    let keys = Jwks::from_json(development.jwks_json().as_bytes()).unwrap();
    let rules = TokenRules { issuer, audiences: vec![AUDIENCE.to_owned()], leeway: Duration::ZERO };
    let token = jwt::verify(&token, &keys, &rules, start()).unwrap();
    Arc::new(Caller::from_service_account(&token, &trust_domain()).unwrap())
}

fn json_of(record: &Record<'_>) -> Value {
    let mut line = Vec::new();
    record.write_to(&mut line, start()).unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn what_has_no_form_in_json_is_an_error_and_leaves_nothing_behind() {
    let keys_are_no_strings = std::collections::BTreeMap::from([((1, 2), "value")]);
    let mut lines = b"before\n".to_vec();

    write_line(&mut lines, &keys_are_no_strings).unwrap_err();

    assert_eq!(lines, b"before\n");
}

#[test]
fn an_intent_says_who_asked_for_what_with_which_key_and_who_signs() {
    let pod = Pod {
        name: Some("cart-7f".to_owned()),
        uid: Some("0b5e".to_owned()),
        node: Some("worker-1".to_owned()),
    };
    let (caller, key) = (caller(pod), PrivateKey::generate().unwrap());
    let identity = SpiffeId::workload(&trust_domain(), "shop", "cart").unwrap();
    let csr = Csr::from_pem(&CertificateRequest::pem(&key, &identity).unwrap()).unwrap();
    let hour = Duration::from_secs(3600);
    let policy = IssuingPolicy::new(trust_domain(), hour, hour).unwrap();
    let approved = approve(&caller, csr, Ask::default(), &policy).unwrap();
    let requester = Requester::Caller { caller: Arc::clone(&caller), peer: Some(PEER) };

    let line = json_of(&Record::Signing(Signing::new("r-1", &requester, &approved, "abcd")));

    assert_eq!(
        line,
        json!({
            "time": "2027-01-15T08:00:00.250Z",
            "event": "signing",
            "request_id": "r-1",
            "identity": "spiffe://cluster.local/ns/shop/sa/cart",
            "key_sha256": key.public_key().fingerprint().to_string(),
            "caller": {
                "subject": "system:serviceaccount:shop:cart",
                "issuer": "https://kubernetes.default.svc",
                "pod": "cart-7f",
                "pod_uid": "0b5e",
                "node": "worker-1",
            },
            "peer": "10.0.0.7:4711",
            "authority": "abcd",
            "lifetime_seconds": 3600,
        })
    );
}

#[test]
fn the_authoritys_own_certificate_has_dns_names_and_no_caller() {
    let key = PrivateKey::generate().unwrap();
    let names = vec!["ca.example.org".to_owned()];
    let approved =
        Approved::for_the_authority(&trust_domain(), names, &key, Duration::from_secs(60)).unwrap();

    let line = json_of(&Record::Signing(Signing::new("r-1", &Requester::Authority, &approved, "abcd")));

    assert_eq!(line["dns_names"], json!(["ca.example.org"]));
    assert_eq!((line.get("caller"), line.get("peer")), (None, None));
}

#[test]
fn a_refusal_says_who_was_refused_and_why() {
    let requester = Requester::Caller { caller: caller(Pod::default()), peer: None };

    let line = json_of(&Record::Refused { request_id: "r-1", requester: &requester, reason: "not yours" });

    assert_eq!((&line["event"], &line["reason"]), (&json!("refused"), &json!("not yours")));
    assert_eq!(line["caller"]["subject"], "system:serviceaccount:shop:cart");
    assert_eq!((line["caller"].get("pod"), line.get("peer")), (None, None));
}

#[test]
fn an_outcome_names_its_intent_and_the_certificate() {
    let line = json_of(&Record::Issued {
        request_id: "r-1",
        serial: "0f",
        not_before: start(),
        not_after: start() + Duration::from_secs(60),
    });

    assert_eq!(
        (&line["event"], &line["request_id"], &line["serial"]),
        (&json!("issued"), &json!("r-1"), &json!("0f"))
    );
    assert_eq!(line["not_after"], "2027-01-15T08:01:00.250Z");
}

#[test]
fn times_that_have_no_form_are_brought_to_the_nearest_that_has() {
    for (since, written) in [
        (UNIX_EPOCH - Duration::from_secs(1), "1970-01-01T00:00:00.000Z"),
        (UNIX_EPOCH + Duration::from_secs(1 << 40), "9999-12-31T23:59:59.000Z"),
    ] {
        assert_eq!(json_of(&Record::Resumed { since, refused_records: 0 })["since"], written);
    }
}
