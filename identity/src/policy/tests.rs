use super::*;
use crate::test_support::{OpenSsl, verified_token};
use crate::{MAX_CSR_NAMES, MAX_CSR_PEM_BYTES};
use proptest::prelude::*;
use rcgen::SanType;

const MINE: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const HOUR: Duration = Duration::from_secs(3600);

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn caller() -> Caller {
    let token = verified_token("system:serviceaccount:shop:cart", serde_json::Value::Null);
    Caller::from_service_account(&token, &trust_domain()).unwrap()
}

fn policy() -> IssuingPolicy {
    IssuingPolicy::new(trust_domain(), 24 * HOUR, 48 * HOUR).unwrap()
}

/// A CSR with these names, in OpenSSL's notation, and perhaps further extensions.
fn csr(names: &str) -> Csr {
    let openssl = OpenSsl::new();
    let wish = if names.is_empty() { String::new() } else { format!("subjectAltName={names}") };
    openssl
        .write("req.cnf", format!("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n{wish}\n"));
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    openssl.run("req -new -key key.pem -config req.cnf -subj / -out csr.pem");
    Csr::from_pem(&String::from_utf8(openssl.read("csr.pem")).unwrap()).unwrap()
}

fn asked_for(names: &str) -> Result<Approved, Denied> {
    approve(&caller(), csr(names), Ask::default(), &policy())
}

#[test]
fn a_caller_gets_its_own_identity() {
    let csr = csr(&format!("URI:{MINE}"));
    let (key, der) = (csr.public_key().clone(), csr.der().to_vec());
    let approved = approve(&caller(), csr, Ask::default(), &policy()).unwrap();
    assert_eq!(approved.identity().as_str(), MINE);
    assert_eq!(approved.public_key(), &key);
    assert_eq!(approved.csr_der(), der);
    assert!(approved.dns_names().is_empty());
}

#[test]
fn a_caller_gets_no_other_identity() {
    for (name, asked) in [
        ("another service account", "spiffe://cluster.local/ns/shop/sa/admin"),
        ("another namespace", "spiffe://cluster.local/ns/other/sa/cart"),
        ("another trust domain", "spiffe://other.local/ns/shop/sa/cart"),
        ("the CA", "spiffe://cluster.local/signet/ca"),
        ("the trust domain", "spiffe://cluster.local"),
        ("upper case", "spiffe://Cluster.local/ns/shop/sa/cart"),
        ("upper case path", "spiffe://cluster.local/ns/shop/sa/Cart"),
        ("percent-encoding", "spiffe://cluster.local/ns/shop/sa/c%61rt"),
        ("trailing slash", "spiffe://cluster.local/ns/shop/sa/cart/"),
        ("dot segments", "spiffe://cluster.local/ns/x/../shop/sa/cart"),
        ("a query", "spiffe://cluster.local/ns/shop/sa/cart?a"),
        ("a prefix of it", "spiffe://cluster.local/ns/shop/sa/car"),
        ("it and more", "spiffe://cluster.local/ns/shop/sa/cart2"),
        ("another scheme", "https://cluster.local/ns/shop/sa/cart"),
    ] {
        let denied = asked_for(&format!("URI:{asked}")).unwrap_err();
        let asked = AskedNames::of(&[asked.to_owned()]);
        let expected = Denied::AnotherIdentity { caller: caller().identity().clone(), asked };
        assert_eq!(denied, expected, "{name}");
    }
}

#[test]
fn a_name_of_2049_bytes_is_denied() {
    let long = format!("{MINE}{}", "a".repeat(2049 - MINE.len()));
    assert!(matches!(asked_for(&format!("URI:{long}")), Err(Denied::AnotherIdentity { .. })));
}

#[test]
fn exactly_one_uri_and_nothing_else_may_be_asked_for() {
    let mine = format!("URI:{MINE}");
    let caller = caller().identity().clone();
    let names = |names: &[&str]| AskedNames::of(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let other = |asked: &str| Denied::OtherNames { caller: caller.clone(), asked: names(&[asked]) };
    let table = [
        ("no name", String::new(), Denied::NoName { caller: caller.clone() }),
        (
            "its own twice",
            format!("{mine},{mine}"),
            Denied::SeveralUris { caller: caller.clone(), asked: names(&[MINE, MINE]) },
        ),
        (
            "its own and another",
            format!("{mine},URI:spiffe://a/b"),
            Denied::SeveralUris { caller: caller.clone(), asked: names(&[MINE, "spiffe://a/b"]) },
        ),
        ("a DNS name beside it", format!("{mine},DNS:signet-ca.svc"), other("DNS:signet-ca.svc")),
        ("a DNS name only", "DNS:a.example".to_owned(), other("DNS:a.example")),
        ("an address beside it", format!("{mine},IP:10.0.0.1"), other("IP:10.0.0.1")),
    ];
    for (name, names, denied) in table {
        assert_eq!(asked_for(&names).unwrap_err(), denied, "{name}");
    }
}

/// It goes into the log and the audit, and a caller could fill both.
#[test]
fn a_request_at_the_size_limit_is_denied_in_a_few_words() {
    let most = MAX_CSR_NAMES;
    let uri = |text: &str, times| SanType::URI(text.repeat(times).try_into().unwrap());
    let dns = |text: &str, times| SanType::DnsName(text.repeat(times).try_into().unwrap());
    for (case, names) in [
        ("one URI", vec![uri("/", 11_400)]),
        ("many URIs", vec![uri("a", 700); most]),
        ("many URIs to be escaped", vec![uri("\u{1}", 700); most]),
        ("many DNS names to be escaped", vec![dns("\u{1}", 700); most]),
    ] {
        let mut params = rcgen::CertificateParams::default();
        params.subject_alt_names = names;
        let csr = params.serialize_request(&PrivateKey::generate().unwrap()).unwrap().pem().unwrap();
        assert!(csr.len() > MAX_CSR_PEM_BYTES - 1024, "{case} is not at the limit: {} bytes", csr.len());
        let csr = Csr::from_pem(&csr).unwrap();
        let denied = approve(&caller(), csr, Ask::default(), &policy()).unwrap_err();

        let written = serde_json::to_string(&denied.to_string()).unwrap();
        assert!(written.len() < 4096, "{case}: {} bytes", written.len());
    }
}

#[test]
fn a_caller_of_another_trust_domain_gets_nothing() {
    let foreign = IssuingPolicy::new("other.local".parse().unwrap(), HOUR, HOUR).unwrap();
    let denied = approve(&caller(), csr(&format!("URI:{MINE}")), Ask::default(), &foreign).unwrap_err();
    assert!(matches!(denied, Denied::ForeignTrustDomain { .. }), "{denied:?}");
}

#[test]
fn the_granted_lifetime_is_the_asked_one_within_bounds() {
    for (name, asked, granted) in [
        ("nothing", None, 24 * HOUR),
        ("zero", Some(Duration::ZERO), 24 * HOUR),
        ("less than a second", Some(Duration::from_millis(1)), Duration::from_secs(1)),
        ("an hour", Some(HOUR), HOUR),
        ("the maximum", Some(48 * HOUR), 48 * HOUR),
        ("more", Some(49 * HOUR), 48 * HOUR),
        ("for ever", Some(Duration::MAX), 48 * HOUR),
    ] {
        assert_eq!(policy().grant(asked), granted, "{name}");
    }
}

#[test]
fn a_policy_without_sense_is_refused() {
    let policy = |default, max| IssuingPolicy::new(trust_domain(), default, max);
    assert_eq!(policy(Duration::ZERO, HOUR).unwrap_err(), PolicyError::TooShort);
    assert!(matches!(policy(2 * HOUR, HOUR), Err(PolicyError::DefaultAboveMaximum { .. })));
    assert!(policy(HOUR, HOUR).is_ok());
}

#[test]
fn the_authority_approves_its_own_names() {
    let key = PrivateKey::generate().unwrap();
    let names = vec!["signet-ca.svc".to_owned(), "localhost".to_owned()];
    let approved = Approved::for_the_authority(&trust_domain(), names.clone(), &key, HOUR).unwrap();
    assert_eq!(approved.identity().as_str(), "spiffe://cluster.local/signet/ca");
    assert_eq!(approved.dns_names(), names);
    assert_eq!(approved.public_key(), key.public_key());
    let requested = Csr::from_der(approved.csr_der()).unwrap();
    assert_eq!(requested.other_requested_names(), ["DNS:signet-ca.svc", "DNS:localhost"]);
}

#[test]
fn a_name_that_is_no_dns_name_is_refused() {
    let key = PrivateKey::generate().unwrap();
    for name in ["", "sígnet", "a b", "-", "a..b"] {
        let refusal =
            Approved::for_the_authority(&trust_domain(), vec![name.to_owned()], &key, HOUR).unwrap_err();
        assert_eq!(refusal, RequestError::NotADnsName { name: name.to_owned() });
    }
}

#[test]
fn more_names_than_a_csr_may_have_are_refused_for_that_and_not_for_the_key() {
    let key = PrivateKey::generate().unwrap();
    let names = vec!["signet-ca.svc".to_owned(); crate::MAX_CSR_NAMES];

    let refusal = Approved::for_the_authority(&trust_domain(), names, &key, HOUR).unwrap_err();

    assert_eq!(refusal, RequestError::Refused(crate::CsrError::TooManyNames));
}

proptest! {
    #[test]
    fn no_service_account_is_the_ca(namespace in ".{0,20}", name in ".{0,20}") {
        let authority = SpiffeId::certificate_authority(&trust_domain());
        prop_assert_ne!(SpiffeId::workload(&trust_domain(), &namespace, &name).ok(), Some(authority));
    }
}
