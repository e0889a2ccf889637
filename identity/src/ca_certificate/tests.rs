use super::*;
use crate::test_support::{OpenSsl, now};
use crate::x509::AltName;

const YEARS_10: Duration = Duration::from_secs(10 * 365 * 86_400);

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

fn root(key: &PrivateKey) -> CaCertificate {
    CaCertificate::self_signed(key, &trust_domain(), now(), YEARS_10).unwrap()
}

/// A self-signed certificate by `openssl`, of this subject and these extensions, in its own notation.
fn by_openssl(subject: &str, extensions: &str) -> CertificateDer<'static> {
    let openssl = OpenSsl::new();
    openssl.write(
        "req.cnf",
        format!("[req]\ndistinguished_name=dn\nx509_extensions=e\n[dn]\n[e]\n{extensions}\n"),
    );
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    openssl.run(&format!(
        "req -new -x509 -key key.pem -config req.cnf -subj {subject} -outform DER -out ca.der"
    ));
    openssl.read("ca.der").into()
}

#[test]
fn a_root_of_our_own_has_the_profile() {
    let key = PrivateKey::generate().unwrap();
    let root = root(&key);
    let openssl = OpenSsl::new();
    openssl.write("root.pem", root.to_pem());
    let at = now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    openssl.run(&format!("verify -x509_strict -attime {at} -CAfile root.pem root.pem"));
    let text = openssl.run("x509 -in root.pem -noout -text -certopt no_sigdump");
    for part in [
        "X509v3 Basic Constraints: critical\n                CA:TRUE\n",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
        "URI:spiffe://cluster.local\n",
        "Public-Key: (256 bit)",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let certificate = Certificate::parse(root.der()).unwrap();
    assert_eq!(certificate.extensions.alt_names().unwrap(), [AltName::Uri("spiffe://cluster.local")]);
    assert_eq!(certificate.issuer, certificate.subject);
    assert_eq!(root.public_key(), key.public_key());
    assert_eq!(root.validity().not_before(), now() - Duration::from_secs(60));
    assert_eq!(root.validity().not_after(), now() + YEARS_10);
}

#[test]
fn no_two_keys_have_the_same_subject() {
    let (one, other) = (root(&PrivateKey::generate().unwrap()), root(&PrivateKey::generate().unwrap()));
    assert_ne!(one.subject(), other.subject());
    assert_ne!(one.key_id(), other.key_id());
}

#[test]
fn a_long_trust_domain_still_makes_a_root() {
    let long: TrustDomain = "a".repeat(255).parse().unwrap();
    let key = PrivateKey::generate().unwrap();
    let root = CaCertificate::self_signed(&key, &long, now(), YEARS_10).unwrap();
    let openssl = OpenSsl::new();
    openssl.write("root.pem", root.to_pem());
    let subject = openssl.run("x509 -in root.pem -noout -subject -nameopt multiline");
    let organisation = subject.lines().find(|line| line.contains("organizationName")).unwrap();
    assert_eq!(organisation.matches('a').count() - "organizationName".matches('a').count(), 64, "{subject}");
}

#[test]
fn a_root_survives_der() {
    let root = root(&PrivateKey::generate().unwrap());
    let again = CaCertificate::from_der(root.der().clone()).unwrap();
    assert_eq!((again.key_id(), again.validity()), (root.key_id(), root.validity()));
}

#[test]
fn what_cannot_sign_svids_is_refused() {
    use CaCertificateError::*;
    const CA: &str = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash";
    let sign = format!("{CA}\nkeyUsage=critical,keyCertSign");
    let table = [
        ("a leaf", "/CN=a", "basicConstraints=CA:FALSE".to_owned(), NotACa),
        ("no basicConstraints", "/CN=a", "keyUsage=keyCertSign".to_owned(), NotACa),
        ("no keyUsage", "/CN=a", CA.to_owned(), NoCertSign),
        ("cRLSign only", "/CN=a", format!("{CA}\nkeyUsage=critical,cRLSign"), NoCertSign),
        ("no subject", "/", sign.clone(), EmptySubject),
        (
            "no subjectKeyIdentifier",
            "/CN=a",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=none".to_owned(),
            NoKeyIdentifier,
        ),
        (
            "URI permitted",
            "/CN=a",
            format!("{sign}\nnameConstraints=critical,permitted;URI:cluster.local"),
            UriNameConstraints,
        ),
        (
            "URI excluded",
            "/CN=a",
            format!("{sign}\nnameConstraints=excluded;DNS:a.example,excluded;URI:b.example"),
            UriNameConstraints,
        ),
        ("for servers only", "/CN=a", format!("{sign}\nextendedKeyUsage=serverAuth"), OneSided),
        ("for anything", "/CN=a", format!("{sign}\nextendedKeyUsage=anyExtendedKeyUsage"), OneSided),
    ];
    for (name, subject, extensions, refusal) in table {
        let refused = CaCertificate::from_der(by_openssl(subject, &extensions)).map(|_| ());
        assert_eq!(refused, Err(refusal), "{name}");
    }
    assert!(UriNameConstraints.to_string().contains("webpki"));
}

#[test]
fn what_does_no_harm_is_accepted() {
    const CA: &str = "subjectKeyIdentifier=hash\nkeyUsage=critical,keyCertSign,digitalSignature";
    for (name, extensions) in [
        ("pathLen 0", "basicConstraints=critical,CA:TRUE,pathlen:0"),
        ("DNS name constraints", "basicConstraints=CA:TRUE\nnameConstraints=permitted;DNS:a.example"),
        (
            "for both ends of TLS and more",
            "basicConstraints=CA:TRUE\nextendedKeyUsage=clientAuth,serverAuth,emailProtection",
        ),
        ("a DNS name of its own", "basicConstraints=CA:TRUE\nsubjectAltName=DNS:a.example"),
    ] {
        let accepted = CaCertificate::from_der(by_openssl("/CN=a", &format!("{CA}\n{extensions}")));
        assert!(accepted.is_ok(), "{name}: {accepted:?}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    use CaCertificateError::*;
    let leaf = by_openssl("/", "subjectKeyIdentifier=none\nextendedKeyUsage=clientAuth\nkeyUsage=cRLSign");
    let constrained = by_openssl(
        "/CN=a",
        "basicConstraints=CA:TRUE\nkeyUsage=cRLSign\nnameConstraints=permitted;URI:a.example",
    );

    assert_eq!(CaCertificate::faults(&leaf), [NotACa, NoCertSign, EmptySubject, NoKeyIdentifier, OneSided]);
    assert_eq!(CaCertificate::faults_above(&leaf), [NotACa, NoCertSign, OneSided]);
    assert_eq!(CaCertificate::faults(&constrained), [NoCertSign, UriNameConstraints]);
    assert_eq!(CaCertificate::faults_above(&constrained), [NoCertSign, UriNameConstraints]);
    for faults in [CaCertificate::faults(b"nothing"), CaCertificate::faults_above(b"nothing")] {
        assert!(matches!(faults[..], [Malformed(_)]), "{faults:?}");
    }
}

#[test]
fn what_stands_above_needs_neither_a_key_usage_nor_a_key_identifier() {
    let root = by_openssl("/CN=a", "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none");
    assert_eq!(CaCertificate::faults_above(&root), []);
    assert!(!CaCertificate::faults(&root).is_empty());
}

#[test]
fn a_weak_key_is_refused_wherever_it_stands() {
    let weak = "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem";
    let openssl = OpenSsl::new();
    openssl.run(weak);
    openssl
        .run("req -new -x509 -key key.pem -subj /CN=a -addext keyUsage=keyCertSign -outform DER -out ca.der");
    let der = openssl.read("ca.der");
    let refusal = [CaCertificateError::Key(PublicKeyError::RsaSize { bits: 1024 })];
    assert_eq!(CaCertificate::faults(&der), refusal);
    assert_eq!(CaCertificate::faults_above(&der), refusal);
}

#[test]
fn a_certificate_cut_at_any_byte_is_refused() {
    let der = root(&PrivateKey::generate().unwrap()).der().to_vec();
    for end in 0..der.len() {
        let cut = CaCertificate::from_der(der[..end].to_vec().into());
        assert!(matches!(cut, Err(CaCertificateError::Malformed(_))), "cut at {end}");
    }
    let longer = CaCertificate::from_der([&der[..], &[0]].concat().into());
    assert!(matches!(longer, Err(CaCertificateError::Malformed(_))), "a byte after it");
}
