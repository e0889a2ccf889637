use super::*;
use crate::test_support::OpenSsl;

/// Every kind of key that may sign, by the arguments of `openssl genpkey`.
const KINDS: [(&str, &str, KeyAlgorithm, SignatureAlgorithm); 5] = [
    (
        "P-256",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        KeyAlgorithm::EcdsaP256,
        SignatureAlgorithm::EcdsaSha256,
    ),
    (
        "P-384",
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        KeyAlgorithm::EcdsaP384,
        SignatureAlgorithm::EcdsaSha384,
    ),
    ("Ed25519", "-algorithm ED25519", KeyAlgorithm::Ed25519, SignatureAlgorithm::Ed25519),
    (
        "RSA-2048",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        KeyAlgorithm::Rsa,
        SignatureAlgorithm::RsaSha256,
    ),
    (
        "RSA-3072",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3072",
        KeyAlgorithm::Rsa,
        SignatureAlgorithm::RsaSha256,
    ),
];

const P256: &str = "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem";

/// The text of the file that these openssl commands make last, as `out.pem`.
fn made_by(commands: &[&str]) -> String {
    let openssl = OpenSsl::new();
    for command in commands {
        openssl.run(command);
    }
    String::from_utf8(openssl.read("out.pem")).unwrap()
}

/// PKCS#8, and the form that OpenSSL wrote before, where the kind has one.
fn in_every_form(genpkey: &str) -> Vec<String> {
    let openssl = OpenSsl::new();
    openssl.run(&format!("genpkey {genpkey} -out pkcs8.pem"));
    let older = openssl.try_run("pkey -in pkcs8.pem -traditional -out traditional.pem");
    assert_eq!(older.is_ok(), genpkey != "-algorithm ED25519");
    let names = ["pkcs8.pem", "traditional.pem"].into_iter().take(1 + usize::from(older.is_ok()));
    names.map(|name| String::from_utf8(openssl.read(name)).unwrap()).collect()
}

#[test]
fn a_key_of_every_kind_and_form_is_read_and_signs() {
    for (name, genpkey, algorithm, signs) in KINDS {
        for text in in_every_form(genpkey) {
            let key = SigningKey::from_pem(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));

            let signature = key.sign(b"message").unwrap();

            assert_eq!((key.public_key().algorithm(), key.algorithm()), (algorithm, signs), "{name}");
            assert_eq!(key.public_key().verify(signs, b"message", &signature), Ok(()), "{name}");
            assert_eq!(key.is_slow(), algorithm == KeyAlgorithm::Rsa, "{name}");
        }
    }
}

#[test]
fn an_rsa_key_of_4096_bits_is_the_largest() {
    let text = |bits: u32| {
        let genpkey = format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out out.pem");
        made_by(&[&genpkey])
    };
    assert!(SigningKey::from_pem(&text(4096)).is_ok());
    for bits in [1024, 4608] {
        let refused = SigningKey::from_pem(&text(bits)).unwrap_err();
        assert_eq!(
            refused,
            SigningKeyError::Public(PublicKeyError::RsaSize { bits: usize::try_from(bits).unwrap() })
        );
    }
}

#[test]
fn a_key_is_written_in_the_form_that_it_was_read_in() {
    for (name, genpkey, ..) in KINDS {
        for text in in_every_form(genpkey) {
            assert_eq!(SigningKey::from_pem(&text).unwrap().to_pem().as_str(), text, "{name}");
        }
    }
}

#[test]
fn an_ed25519_key_with_its_public_half_is_read_too() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let read = SigningKey::from_pem(&key.serialize_pem()).unwrap();
    assert_eq!(read.public_key().key_bytes(), rcgen::PublicKeyData::der_bytes(&key));
}

#[test]
fn a_workloads_key_becomes_an_authoritys() {
    let key = PrivateKey::generate().unwrap();
    let public = key.public_key().clone();

    let key = SigningKey::from(key);

    assert_eq!((key.public_key(), key.algorithm()), (&public, SignatureAlgorithm::EcdsaSha256));
    assert_eq!(SigningKey::from_pem(&key.to_pem()).unwrap().public_key(), &public);
}

#[test]
fn parameters_certificates_and_remarks_may_stand_beside_a_key() {
    let ecparam = made_by(&["ecparam -name prime256v1 -genkey -out out.pem"]);
    assert!(ecparam.starts_with("-----BEGIN EC PARAMETERS-----"), "{ecparam}");
    let certificate = pem::certificate_pem(b"anything");
    let key = pem::encode("PRIVATE KEY", PrivateKey::generate().unwrap().pkcs8_der());
    for (name, text) in [
        ("EC PARAMETERS", ecparam),
        ("a certificate", format!("{certificate}{key}{certificate}")),
        ("remarks", format!("Bag Attributes\n    localKeyID: 01\n{key}\n# the end\n")),
        ("CRLF", key.replace('\n', "\r\n")),
    ] {
        assert!(SigningKey::from_pem(&text).is_ok(), "{name}: {:?}", SigningKey::from_pem(&text));
    }
}

#[test]
fn what_is_no_key_to_sign_with_is_refused_with_the_remedy() {
    let key = pem::encode("PRIVATE KEY", PrivateKey::generate().unwrap().pkcs8_der());
    let genpkey = |arguments: &str| made_by(&[&format!("genpkey {arguments} -out out.pem")]);
    let of = |commands: &[&str]| made_by(&[&[P256], commands].concat());
    // As PKCS#8 holds it, which names the curve by itself.
    let pkcs8 = PrivateKey::generate().unwrap();
    let unnamed = PrivateKeyInfo::of(pkcs8.pkcs8_der()).unwrap().private_key.to_vec();
    let table = [
        ("nothing", String::new(), "no private key in it"),
        ("a certificate", pem::certificate_pem(b"x"), "no private key in it"),
        ("DER", "0\u{1}\u{2}".to_owned(), "no private key in it"),
        ("two keys", format!("{key}{key}"), "several private keys"),
        ("cut short", key.split_at(key.len() / 2).0.to_owned(), "not PEM"),
        ("a key and half of another", format!("{key}{}", key.split_at(key.len() / 2).0), "not PEM"),
        ("not base64", key.replace("MIG", "M!G"), "not PEM"),
        (
            "encrypted PKCS#8",
            of(&["pkcs8 -topk8 -in key.pem -passout pass:secret -out out.pem"]),
            "openssl pkey -in",
        ),
        (
            "encrypted SEC1",
            of(&["ec -in key.pem -aes128 -passout pass:secret -out out.pem"]),
            "openssl pkey -in",
        ),
        ("garbage in PKCS#8", pem::encode("PRIVATE KEY", b"garbage"), "(malformed)"),
        ("garbage in SEC1", pem::encode("EC PRIVATE KEY", b"garbage"), "(malformed)"),
        ("garbage in PKCS#1", pem::encode("RSA PRIVATE KEY", b"garbage"), "(malformed)"),
        ("no public half, SEC1", of(&["ec -in key.pem -no_public -out out.pem"]), "lacks its public half"),
        (
            "no public half, PKCS#8",
            of(&["ec -in key.pem -no_public -out half.pem", "pkey -in half.pem -out out.pem"]),
            "lacks its public half",
        ),
        (
            "a compressed public half",
            of(&["ec -in key.pem -conv_form compressed -out out.pem"]),
            "-conv_form uncompressed",
        ),
        ("P-521", genpkey("-algorithm EC -pkeyopt ec_paramgen_curve:P-521"), "1.3.132.0.35 is not allowed"),
        (
            "secp256k1 in SEC1",
            made_by(&["ecparam -name secp256k1 -genkey -noout -out out.pem"]),
            "1.3.132.0.10 is not allowed",
        ),
        ("SEC1 that names no curve", pem::encode("EC PRIVATE KEY", &unnamed), "(malformed)"),
        ("Ed448", genpkey("-algorithm ED448"), "1.3.101.113 is not allowed"),
        ("RSA-PSS", genpkey("-algorithm RSA-PSS"), "is not allowed"),
    ];
    for (name, text, remedy) in table {
        let refused = told(SigningKey::from_pem(&text));
        assert!(refused.contains(remedy), "{name}: {refused}");
    }
}

#[test]
fn a_key_whose_halves_do_not_belong_together_is_refused() {
    let [one, other] = [(); 2].map(|()| PrivateKey::generate().unwrap());
    let point = one.public_key().key_bytes();
    let der = one.pkcs8_der();
    let at = der.windows(point.len()).position(|window| window == point).unwrap();
    let mixed = [&der[..at], other.public_key().key_bytes()].concat();

    let refused = told(SigningKey::from_pem(&pem::encode("PRIVATE KEY", &mixed)));

    assert!(refused.contains("InconsistentComponents"), "{refused}");
}

/// What the remedies promise.
#[test]
fn a_key_is_read_after_its_remedy() {
    for (name, wrong, remedy) in [
        (
            "no public half",
            "ec -in key.pem -no_public -out old.pem",
            "ec -in old.pem -conv_form uncompressed -out out.pem",
        ),
        (
            "compressed",
            "ec -in key.pem -conv_form compressed -out old.pem",
            "ec -in old.pem -conv_form uncompressed -out out.pem",
        ),
        (
            "encrypted",
            "pkcs8 -topk8 -in key.pem -passout pass:secret -out old.pem",
            "pkey -in old.pem -passin pass:secret -out out.pem",
        ),
    ] {
        let read = SigningKey::from_pem(&made_by(&[P256, wrong, remedy]));
        assert!(read.is_ok(), "{name}: {read:?}");
    }
}

#[test]
fn neither_debug_nor_errors_show_a_secret() {
    let openssl = OpenSsl::new();
    openssl.run(P256);
    openssl.run("ec -in key.pem -no_public -out half.pem");
    openssl.run("asn1parse -in half.pem -offset 5 -length 34 -noout -out scalar.der");
    let scalar = openssl.read("scalar.der");
    let [text, half] = ["key.pem", "half.pem"].map(|name| String::from_utf8(openssl.read(name)).unwrap());
    let key = SigningKey::from_pem(&text).unwrap();
    let refused = SigningKey::from_pem(&half).unwrap_err();
    for shown in [format!("{key:?}"), format!("{refused:?}"), told(Err(refused))] {
        assert!(!shown.contains(&crate::hex::hex(&scalar[2..10])), "{shown}");
        assert!(
            !half.lines().filter(|line| !line.starts_with('-')).any(|line| shown.contains(line)),
            "{shown}"
        );
        let numbers = scalar[2..8].iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
        assert!(!shown.contains(&numbers), "{shown}");
    }
}

fn told(refused: Result<SigningKey, SigningKeyError>) -> String {
    use std::error::Error;
    let error = refused.unwrap_err();
    let sources = std::iter::successors(error.source(), |&source| source.source());
    sources.fold(error.to_string(), |told, source| format!("{told}: {source}"))
}
