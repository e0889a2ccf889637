use std::time::Duration;

use super::*;
use crate::test_support::{OpenSsl, now, verified_token};
use crate::x509::Certificate;
use crate::{Ask, Caller, Csr, IssuingPolicy, PrivateKey, SpiffeId, TrustDomain, approve, pem};

const DAY: Duration = Duration::from_secs(86_400);
const EC_P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";

fn trust_domain() -> TrustDomain {
    "cluster.local".parse().unwrap()
}

/// An authority and the key it signs with.
fn authority() -> (CaCertificate, PrivateKey) {
    let key = PrivateKey::generate().unwrap();
    (CaCertificate::self_signed(&key, &trust_domain(), now(), 3650 * DAY).unwrap(), key)
}

/// Approval for a workload whose CSR, for a key of these arguments, also asks for further extensions.
fn approved(key: &str, wishes: &str, options: &str) -> Approved {
    let openssl = OpenSsl::new();
    let names = "subjectAltName=URI:spiffe://cluster.local/ns/shop/sa/cart";
    openssl.write(
        "req.cnf",
        format!("[req]\ndistinguished_name=dn\nreq_extensions=e\n[dn]\n[e]\n{names}\n{wishes}"),
    );
    openssl.run(&format!("genpkey {key} -out key.pem"));
    openssl.run(&format!("req -new -key key.pem -config req.cnf -subj /CN=ignored -out csr.pem{options}"));
    let csr = Csr::from_pem(&String::from_utf8(openssl.read("csr.pem")).unwrap()).unwrap();
    let token = verified_token("system:serviceaccount:shop:cart", serde_json::Value::Null);
    let caller = Caller::from_service_account(&token, &trust_domain()).unwrap();
    approve(&caller, csr, Ask::default(), &IssuingPolicy::new(trust_domain(), DAY, DAY).unwrap()).unwrap()
}

fn issue(approved: &Approved, authority: &(CaCertificate, PrivateKey)) -> CertificateDer<'static> {
    let template = LeafTemplate::new(approved, &authority.0, SignatureAlgorithm::EcdsaSha256, now()).unwrap();
    let signature = authority.1.sign(template.to_be_signed()).unwrap();
    template.assemble(&signature).unwrap()
}

/// The leaf as `openssl x509` describes it, after `openssl verify -x509_strict` has accepted it.
fn read_by_openssl(leaf: &CertificateDer<'_>, root: &CaCertificate) -> String {
    let openssl = OpenSsl::new();
    openssl.write("leaf.pem", pem::encode("CERTIFICATE", leaf));
    openssl.write("root.pem", root.to_pem());
    let at = now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for purpose in ["sslserver", "sslclient"] {
        openssl
            .run(&format!("verify -x509_strict -purpose {purpose} -attime {at} -CAfile root.pem leaf.pem"));
    }
    openssl.run("x509 -in leaf.pem -noout -text -certopt no_sigdump,no_pubkey")
}

#[test]
fn a_leaf_has_the_profile_and_openssl_accepts_it() {
    let authority = authority();
    let text = read_by_openssl(&issue(&approved(EC_P256, "", ""), &authority), &authority.0);
    let extensions = text.split("X509v3 extensions:").nth(1).unwrap();
    let lines: Vec<_> = extensions.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let upper = |hex: String| {
        let digits: Vec<_> = hex.to_uppercase().chars().collect();
        digits.chunks(2).map(String::from_iter).collect::<Vec<_>>().join(":")
    };
    assert_eq!(lines[0..2], ["X509v3 Key Usage: critical", "Digital Signature"]);
    assert_eq!(
        lines[2..4],
        ["X509v3 Extended Key Usage:", "TLS Web Server Authentication, TLS Web Client Authentication"]
    );
    assert_eq!(lines[4..6], ["X509v3 Basic Constraints: critical", "CA:FALSE"]);
    assert_eq!(lines[6], "X509v3 Subject Key Identifier:");
    assert_eq!(lines[8..10], ["X509v3 Authority Key Identifier:", &upper(authority.0.key_id())]);
    assert_eq!(
        lines[10..],
        ["X509v3 Subject Alternative Name: critical", "URI:spiffe://cluster.local/ns/shop/sa/cart"]
    );
    assert!(text.contains("Version: 3 (0x2)"), "{text}");
    assert!(text.lines().any(|line| line.trim() == "Subject:"), "an empty subject: {text}");
}

#[test]
fn every_allowed_key_is_certified_byte_for_byte() {
    let authority = authority();
    for (name, key, options, usage) in [
        ("P-256 with SHA-384", EC_P256, " -sha384", "Digital Signature"),
        ("P-384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "", "Digital Signature"),
        ("Ed25519", "-algorithm ED25519", "", "Digital Signature"),
        (
            "RSA-2048",
            "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
            "",
            "Digital Signature, Key Encipherment",
        ),
    ] {
        let approved = approved(key, "", options);
        let leaf = issue(&approved, &authority);
        let text = read_by_openssl(&leaf, &authority.0);
        assert!(text.lines().any(|line| line.trim() == usage), "{name}: {text}");
        assert_eq!(Certificate::parse(&leaf).unwrap().spki, approved.public_key().spki_der(), "{name}");
    }
}

#[test]
fn nothing_that_a_csr_wishes_for_reaches_the_certificate() {
    let wishes = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
                  extendedKeyUsage=codeSigning\n1.2.3.4=critical,ASN1:NULL\n";
    let authority = authority();
    let text = read_by_openssl(&issue(&approved(EC_P256, wishes, ""), &authority), &authority.0);
    assert!(text.contains("CA:FALSE"), "{text}");
    for wish in ["CA:TRUE", "Certificate Sign", "CRL Sign", "Code Signing", "1.2.3.4", "ignored"] {
        assert!(!text.contains(wish), "{wish}: {text}");
    }
}

#[test]
fn a_serving_certificate_has_its_dns_names_beside_the_identity() {
    let authority = authority();
    let names = vec!["signet-ca.svc".to_owned(), "localhost".to_owned()];
    let key = PrivateKey::generate().unwrap();
    let approved = Approved::for_the_authority(&trust_domain(), names, &key, DAY).unwrap();
    let text = read_by_openssl(&issue(&approved, &authority), &authority.0);
    assert!(
        text.contains("URI:spiffe://cluster.local/signet/ca, DNS:signet-ca.svc, DNS:localhost"),
        "{text}"
    );
    let identity = SpiffeId::certificate_authority(&trust_domain());
    assert_eq!(approved.identity(), &identity);
}

#[test]
fn serials_are_random_and_128_bits_long() {
    let (authority, approved) = (authority(), approved(EC_P256, "", ""));
    let mut any_bit = [0; 16];
    let mut seen = Vec::new();
    for _ in 0..64 {
        let leaf = issue(&approved, &authority);
        let serial = Certificate::parse(&leaf).unwrap().serial.to_vec();
        assert!(serial.len() <= 16 && !seen.contains(&serial), "{serial:02x?}");
        for (bits, byte) in any_bit.iter_mut().rev().zip(serial.iter().rev()) {
            *bits |= byte;
        }
        seen.push(serial);
    }
    assert_eq!(any_bit, [0xff; 16], "every bit is set in some serial");
}

#[test]
fn a_leaf_never_outlives_its_issuer() {
    let key = PrivateKey::generate().unwrap();
    let root = CaCertificate::self_signed(&key, &trust_domain(), now(), Duration::from_secs(100)).unwrap();
    let approved = approved(EC_P256, "", "");
    let leaf = issue(&approved, &(root.clone(), key));
    assert_eq!(Certificate::parse(&leaf).unwrap().validity.not_after(), root.validity().not_after());
    let later = now() + Duration::from_secs(101);
    let refusal = LeafTemplate::new(&approved, &root, SignatureAlgorithm::EcdsaSha256, later).unwrap_err();
    assert_eq!(refusal, TemplateError::Validity(ValidityError::SignerExpired));
}

#[test]
fn years_from_2050_on_are_expressed_too() {
    let key = PrivateKey::generate().unwrap();
    let root = CaCertificate::self_signed(&key, &trust_domain(), now(), 36_500 * DAY).unwrap();
    let approved = approved(EC_P256, "", "");
    let late = now() + 20_000 * DAY;
    let template = LeafTemplate::new(&approved, &root, SignatureAlgorithm::EcdsaSha256, late).unwrap();
    let leaf = template.assemble(&[0; 8]).unwrap();
    assert_eq!(Certificate::parse(&leaf).unwrap().validity.not_after(), late + DAY);
}
