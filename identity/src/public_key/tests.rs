use super::*;
use crate::test_support::{OpenSsl, tlv};

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> rcgen::KeyPair {
    rcgen::KeyPair::generate_for(algorithm).unwrap()
}

fn spki(pair: &rcgen::KeyPair) -> Vec<u8> {
    rcgen::PublicKeyData::subject_public_key_info(pair)
}

/// An RSA key with the largest modulus of so many bits. No such key need exist: only its size is looked at.
fn rsa_spki_of(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= 8 * modulus.len() - bits;
    if modulus[0] & 0x80 != 0 {
        modulus.insert(0, 0);
    }
    let key = tlv(0x30, &[&tlv(2, &[&modulus]), &tlv(2, &[&[1, 0, 1]])]);
    let algorithm = [0x30, 0x0d, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    tlv(0x30, &[&algorithm, &tlv(3, &[&[0], &key])])
}

#[test]
fn allowed_keys_are_kept_verbatim() {
    let rsa = OpenSsl::public_key("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    let table = [
        ("P-256", spki(&pair(&rcgen::PKCS_ECDSA_P256_SHA256)), KeyAlgorithm::EcdsaP256),
        ("P-384", spki(&pair(&rcgen::PKCS_ECDSA_P384_SHA384)), KeyAlgorithm::EcdsaP384),
        ("Ed25519", spki(&pair(&rcgen::PKCS_ED25519)), KeyAlgorithm::Ed25519),
        ("RSA-2048", rsa, KeyAlgorithm::Rsa),
    ];
    for (name, spki, algorithm) in table {
        let key = PublicKey::from_spki(&spki).unwrap();
        assert_eq!((key.algorithm(), key.spki_der()), (algorithm, &spki[..]), "{name}");
    }
}

#[test]
fn other_kinds_of_keys_are_refused_by_name() {
    let ed25519ph: Vec<u8> = spki(&pair(&rcgen::PKCS_ED25519))
        .iter()
        .enumerate()
        .map(|(i, b)| if i == 8 { 0x72 } else { *b })
        .collect();
    let ec = |curve: &str| OpenSsl::public_key(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"));
    let table = [
        ("P-521", ec("P-521"), "1.2.840.10045.2.1 with 1.3.132.0.35"),
        ("secp256k1", ec("secp256k1"), "1.2.840.10045.2.1 with 1.3.132.0.10"),
        ("Ed448", OpenSsl::public_key("-algorithm ED448"), "1.3.101.113"),
        ("Ed25519ph", ed25519ph, "1.3.101.114"),
    ];
    for (name, spki, algorithm) in table {
        let refusal = PublicKeyError::NotAllowed { algorithm: algorithm.to_owned() };
        assert_eq!(PublicKey::from_spki(&spki), Err(refusal), "{name}");
    }
}

#[test]
fn rsa_moduli_of_2048_to_4096_bits_pass() {
    for bits in [2048, 2056, 3072, 4096] {
        assert!(PublicKey::from_spki(&rsa_spki_of(bits)).is_ok(), "{bits} bits");
    }
    for bits in [512, 1024, 2047, 4097, 8192] {
        assert_eq!(PublicKey::from_spki(&rsa_spki_of(bits)), Err(PublicKeyError::RsaSize { bits }));
    }
}

#[test]
fn malformed_keys_are_refused() {
    let whole = spki(&pair(&rcgen::PKCS_ECDSA_P256_SHA256));
    for end in 0..whole.len() {
        assert_eq!(PublicKey::from_spki(&whole[..end]), Err(PublicKeyError::Malformed), "cut at {end}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(PublicKey::from_spki(&longer), Err(PublicKeyError::Malformed), "a byte after it");
    let p384_point_on_p256 = {
        let long = spki(&pair(&rcgen::PKCS_ECDSA_P384_SHA384));
        let point = tlv(3, &[&[0], &long[long.len() - 97..]]);
        tlv(0x30, &[&whole[2..23], &point])
    };
    assert_eq!(PublicKey::from_spki(&p384_point_on_p256), Err(PublicKeyError::Malformed));
}

#[test]
fn a_compressed_point_is_refused() {
    let whole = spki(&pair(&rcgen::PKCS_ECDSA_P256_SHA256));
    let compressed = tlv(0x30, &[&whole[2..23], &tlv(3, &[&[0, 2], &whole[27..59]])]);
    assert_eq!(PublicKey::from_spki(&compressed), Err(PublicKeyError::CompressedPoint));
}

#[test]
fn a_point_off_the_curve_verifies_nothing() {
    let pair = pair(&rcgen::PKCS_ECDSA_P256_SHA256);
    let signature = rcgen::SigningKey::sign(&pair, b"message").unwrap();
    let mut spki = spki(&pair);
    let verify = |spki: &[u8]| {
        PublicKey::from_spki(spki).unwrap().verify(SignatureAlgorithm::EcdsaSha256, b"message", &signature)
    };
    assert_eq!(verify(&spki), Ok(()));
    *spki.last_mut().unwrap() ^= 1;
    assert_eq!(verify(&spki), Err(PublicKeyError::BadSignature));
}

#[test]
fn a_signature_of_another_kind_of_key_is_refused() {
    let p256 = PublicKey::from_spki(&spki(&pair(&rcgen::PKCS_ECDSA_P256_SHA256))).unwrap();
    for signature in [SignatureAlgorithm::RsaSha256, SignatureAlgorithm::Ed25519] {
        let refusal = PublicKeyError::AlgorithmMismatch { key: KeyAlgorithm::EcdsaP256, signature };
        assert_eq!(p256.verify(signature, b"message", b"signature"), Err(refusal));
    }
}

#[test]
fn a_p256_signature_with_sha384_verifies_as_what_it_is() {
    let openssl = OpenSsl::new();
    openssl.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    openssl.run("pkey -in key.pem -pubout -outform DER -out spki.der");
    openssl.write("message", "message");
    openssl.run("dgst -sha384 -sign key.pem -out signature message");
    let (key, signature) =
        (PublicKey::from_spki(&openssl.read("spki.der")).unwrap(), openssl.read("signature"));
    assert_eq!(key.verify(SignatureAlgorithm::EcdsaSha384, b"message", &signature), Ok(()));
    assert_eq!(
        key.verify(SignatureAlgorithm::EcdsaSha256, b"message", &signature),
        Err(PublicKeyError::BadSignature)
    );
}

#[test]
fn a_fingerprint_is_the_hash_of_the_whole_key_in_hex() {
    let openssl = OpenSsl::new();
    let spki = spki(&pair(&rcgen::PKCS_ED25519));
    openssl.write("spki.der", &spki);
    let witness = openssl.run("dgst -sha256 -r spki.der");
    let fingerprint = PublicKey::from_spki(&spki).unwrap().fingerprint().to_string();
    assert_eq!(witness.split(' ').next(), Some(fingerprint.as_str()));
}
