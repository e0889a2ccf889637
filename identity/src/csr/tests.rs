use super::*;
use crate::test_support::{OpenSsl, tlv};
use crate::{KeyAlgorithm, PrivateKey, SpiffeId};
use proptest::prelude::*;

const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const EC_P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256";
const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
/// The object identifiers of an extensionRequest and a subjectAltName, and an empty subject.
const EXTENSION_REQUEST: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14];
const SAN: &[u8] = &[6, 3, 0x55, 0x1d, 0x11];
const NO_SUBJECT: &[u8] = &[0x30, 0];

fn key() -> PrivateKey {
    PrivateKey::generate().unwrap()
}

fn pem_for(key: &PrivateKey) -> String {
    CertificateRequest::pem(key, &ID.parse::<SpiffeId>().unwrap()).unwrap()
}

fn der_for(key: &PrivateKey) -> Vec<u8> {
    Csr::from_pem(&pem_for(key)).unwrap().der().to_vec()
}

/// A CSR by `openssl`, for a key of `genpkey`'s arguments, asking for extensions in its own notation.
fn by_openssl(key: &str, extensions: &str, options: &str) -> String {
    let openssl = OpenSsl::new();
    let config = format!("[req]\ndistinguished_name=dn\nreq_extensions=ext\n[dn]\n[ext]\n{extensions}\n");
    openssl.write("req.cnf", config);
    openssl.run(&format!("genpkey {key} -out key.pem"));
    openssl.run(&format!("req -new -key key.pem -config req.cnf -subj / -out csr.pem{options}"));
    String::from_utf8(openssl.read("csr.pem")).unwrap()
}

/// A CSR signed by `key` over the given parts of its CertificationRequestInfo.
fn by_hand(key: &PrivateKey, info: &[&[u8]]) -> Vec<u8> {
    let info = tlv(0x30, info);
    let signature = tlv(3, &[&[0], &key.sign(&info).unwrap()]);
    tlv(0x30, &[&info, ECDSA_SHA256, &signature])
}

/// An attribute that requests a SAN extension as often as there are URIs.
fn extension_request(uris: &[&str]) -> Vec<u8> {
    let extensions: Vec<u8> = uris
        .iter()
        .flat_map(|uri| tlv(0x30, &[SAN, &tlv(4, &[&tlv(0x30, &[&tlv(0x86, &[uri.as_bytes()])])])]))
        .collect();
    tlv(0x30, &[EXTENSION_REQUEST, &tlv(0x31, &[&tlv(0x30, &[&extensions])])])
}

#[test]
fn a_request_of_our_own_is_read_back() {
    let key = key();
    let csr = Csr::from_pem(&pem_for(&key)).unwrap();
    assert_eq!(csr.public_key(), key.public_key());
    assert_eq!(csr.requested_uris(), [ID]);
    assert!(csr.other_requested_names().is_empty());
    assert_eq!(Csr::from_der(csr.der()).unwrap().requested_uris(), [ID]);
}

#[test]
fn every_allowed_kind_of_key_can_ask() {
    let table = [
        ("P-256", EC_P256, "", KeyAlgorithm::EcdsaP256),
        ("P-256 with SHA-384", EC_P256, " -sha384", KeyAlgorithm::EcdsaP256),
        ("P-384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", " -sha384", KeyAlgorithm::EcdsaP384),
        ("P-384 with SHA-256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "", KeyAlgorithm::EcdsaP384),
        ("Ed25519", "-algorithm ED25519", "", KeyAlgorithm::Ed25519),
        ("RSA-2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", " -sha512", KeyAlgorithm::Rsa),
    ];
    for (name, key, options, algorithm) in table {
        let csr = Csr::from_pem(&by_openssl(key, &format!("subjectAltName=URI:{ID}"), options)).unwrap();
        assert_eq!(csr.public_key().algorithm(), algorithm, "{name}");
        assert_eq!(csr.requested_uris(), [ID], "{name}");
    }
}

#[test]
fn refused_keys_and_algorithms() {
    let asked =
        |key, options| Csr::from_pem(&by_openssl(key, "subjectAltName=URI:a:b", options)).unwrap_err();
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
    for (name, key) in [
        ("RSA-1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024"),
        ("P-521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
        ("Ed448", "-algorithm ED448"),
    ] {
        assert!(matches!(asked(key, ""), CsrError::Key(_)), "{name}");
    }
    for (name, key, options) in [
        ("SHA-1", rsa, " -sha1"),
        ("RSA-PSS", rsa, " -sigopt rsa_padding_mode:pss"),
        ("ECDSA with SHA-512", EC_P256, " -sha512"),
    ] {
        assert_eq!(asked(key, options), CsrError::SignatureAlgorithm, "{name}");
    }
}

#[test]
fn names_are_kept_as_asked_and_told_apart() {
    let names =
        "URI:SPIFFE://Other/%61/,DNS:a.example,URI:spiffe://b/c,IP:10.0.0.1,IP:fd00::1,email:a@b.example";
    let csr = Csr::from_pem(&by_openssl(EC_P256, &format!("subjectAltName={names}"), "")).unwrap();
    assert_eq!(csr.requested_uris(), ["SPIFFE://Other/%61/", "spiffe://b/c"]);
    let others = ["DNS:a.example", "IP:10.0.0.1", "IP:fd00::1", "email:a@b.example"];
    assert_eq!(csr.other_requested_names(), others);
}

#[test]
fn requests_for_more_than_names_are_ignored() {
    let wish = format!("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectAltName=URI:{ID}");
    let csr = Csr::from_pem(&by_openssl(EC_P256, &wish, "")).unwrap();
    assert_eq!(csr.requested_uris(), [ID]);
    assert!(csr.other_requested_names().is_empty());
}

#[test]
fn a_request_without_names_is_read_as_one() {
    let key = key();
    let csr = by_hand(&key, &[&[2, 1, 0], NO_SUBJECT, key.public_key().spki_der(), &[0xa0, 0]]);
    assert!(Csr::from_der(&csr).unwrap().requested_uris().is_empty());
}

#[test]
fn what_is_not_exactly_one_pem_block_is_refused() {
    let pem = pem_for(&key());
    let table = [
        ("nothing", String::new(), PemError::NotPem),
        ("another label", pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"), PemError::WrongLabel),
        ("two blocks", format!("{pem}{pem}"), PemError::SeveralBlocks),
        ("text after it", format!("{pem}and more"), PemError::Trailing),
        ("text before it", format!("Certificate Request:\n{pem}"), PemError::NotPem),
    ];
    for (name, text, reason) in table {
        assert_eq!(Csr::from_pem(&text).unwrap_err(), CsrError::NotOnePem(reason), "{name}");
    }
    let microsoft = pem.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
    assert!(Csr::from_pem(&microsoft).is_ok());
}

#[test]
fn a_request_over_the_bound_is_refused_unread() {
    let padded = |bytes: usize| format!("{:bytes$}", pem_for(&key()));
    assert!(Csr::from_pem(&padded(MAX_CSR_PEM_BYTES)).is_ok());
    assert_eq!(Csr::from_pem(&padded(MAX_CSR_PEM_BYTES + 1)).unwrap_err(), CsrError::TooLong);
    assert_eq!(Csr::from_der(&vec![0x30; MAX_CSR_PEM_BYTES + 1]).unwrap_err(), CsrError::TooLong);
}

#[test]
fn a_request_cut_at_any_byte_is_refused() {
    let key = key();
    let (pem, der) = (pem_for(&key), der_for(&key));
    for end in 0..der.len() {
        assert!(matches!(Csr::from_der(&der[..end]), Err(CsrError::Malformed(_))), "DER cut at {end}");
    }
    for end in 0..pem.trim_end().len() {
        assert!(Csr::from_pem(pem.get(..end).unwrap()).is_err(), "PEM cut at {end}");
    }
    let longer = [&der[..], &[0]].concat();
    assert!(matches!(Csr::from_der(&longer), Err(CsrError::Malformed(_))), "a byte after it");
}

#[test]
fn a_request_signed_by_another_key_is_refused() {
    let (key, other) = (key(), key());
    let stolen = by_hand(&other, &[&[2, 1, 0], NO_SUBJECT, key.public_key().spki_der(), &[0xa0, 0]]);
    let refusal = Csr::from_der(&stolen).unwrap_err();
    assert_eq!(refusal, CsrError::NotPossessed(PublicKeyError::BadSignature));
}

#[test]
fn a_point_off_the_curve_possesses_nothing() {
    let key = key();
    let mut spki = key.public_key().spki_der().to_vec();
    *spki.last_mut().unwrap() ^= 1;
    let refusal = Csr::from_der(&by_hand(&key, &[&[2, 1, 0], NO_SUBJECT, &spki, &[0xa0, 0]])).unwrap_err();
    assert_eq!(refusal, CsrError::NotPossessed(PublicKeyError::BadSignature));
}

#[test]
fn a_request_that_two_readers_could_read_differently_is_refused() {
    let key = key();
    let asked = |attributes: &[&[u8]]| {
        let attributes = tlv(0xa0, attributes);
        Csr::from_der(&by_hand(&key, &[&[2, 1, 0], NO_SUBJECT, key.public_key().spki_der(), &attributes]))
    };
    let one = extension_request(&[ID]);
    assert_eq!(asked(&[&one]).unwrap().requested_uris(), [ID]);
    let twice = CsrError::Duplicate(oid::EXTENSION_REQUEST);
    assert_eq!(asked(&[&one, &one]).unwrap_err(), twice, "two extension requests");
    let twice = CsrError::Duplicate(oid::SUBJECT_ALT_NAME);
    assert_eq!(asked(&[&extension_request(&[ID, ID])]).unwrap_err(), twice, "two SAN extensions");
    let list = tlv(0x30, &[]);
    let two_values = tlv(0x30, &[EXTENSION_REQUEST, &tlv(0x31, &[&list, &list])]);
    assert!(matches!(asked(&[&two_values]), Err(CsrError::Malformed(_))), "two values");
}

#[test]
fn a_request_for_more_names_than_anybody_is_granted_is_refused() {
    let asked = |count: usize| {
        let names = tlv(0x30, &[&tlv(0x82, &[b"a.example"]).repeat(count)]);
        asked_with(&[&tlv(0x30, &[SAN, &tlv(4, &[&names])])])
    };
    assert_eq!(asked(MAX_CSR_NAMES).unwrap().other_requested_names().len(), MAX_CSR_NAMES);
    assert_eq!(asked(MAX_CSR_NAMES + 1).unwrap_err(), CsrError::TooManyNames);
}

#[test]
fn a_request_for_a_flood_of_extensions_is_refused() {
    let flood: Vec<_> = (0..33).map(|number| tlv(0x30, &[&[6, 3, 0x2a, 3, number], &[4, 0]])).collect();
    assert!(asked_with(&[&flood[..32].concat()]).is_ok());
    assert_eq!(asked_with(&[&flood.concat()]).unwrap_err(), CsrError::TooManyExtensions);
}

/// A CSR by a new key that asks for these extensions.
fn asked_with(extensions: &[&[u8]]) -> Result<Csr, CsrError> {
    let key = key();
    let request = tlv(0x30, &[EXTENSION_REQUEST, &tlv(0x31, &[&tlv(0x30, extensions)])]);
    let attributes = tlv(0xa0, &[&request]);
    Csr::from_der(&by_hand(&key, &[&[2, 1, 0], NO_SUBJECT, key.public_key().spki_der(), &attributes]))
}

#[test]
fn a_request_of_another_shape_is_refused() {
    let key = key();
    let spki = key.public_key().spki_der();
    let table: [(&str, Vec<&[u8]>); 5] = [
        ("version 2", vec![&[2, 1, 1], NO_SUBJECT, spki, &[0xa0, 0]]),
        ("no attributes", vec![&[2, 1, 0], NO_SUBJECT, spki]),
        ("attributes under another tag", vec![&[2, 1, 0], NO_SUBJECT, spki, &[0xa1, 0]]),
        ("a subject that is no name", vec![&[2, 1, 0], &[4, 0], spki, &[0xa0, 0]]),
        ("more after the attributes", vec![&[2, 1, 0], NO_SUBJECT, spki, &[0xa0, 0], &[5, 0]]),
    ];
    for (name, info) in table {
        assert!(matches!(Csr::from_der(&by_hand(&key, &info)), Err(CsrError::Malformed(_))), "{name}");
    }
}

proptest! {
    #[test]
    fn a_request_with_any_bit_changed_is_refused(position in 0..10_000_usize, bit in 0..8_u32) {
        let mut der = der_for(&key());
        let position = position % der.len();
        der[position] ^= 1 << bit;
        prop_assert!(Csr::from_der(&der).is_err(), "bit {bit} of byte {position}");
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Csr::from_der(&bytes);
        let _ = Csr::from_pem(&pem::encode("CERTIFICATE REQUEST", &bytes));
    }
}
