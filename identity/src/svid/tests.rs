use std::time::Duration;

use rcgen::{CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};

use super::*;
use crate::test_support::{OpenSsl, now, tlv};
use crate::testing::{self, TestAuthority, TestLeaf};
use crate::{CaCertificate, LeafTemplate, PrivateKey, SignatureAlgorithm, ca_certificate};

const HOUR: Duration = Duration::from_secs(3600);
const ID: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Who asked, with which key.
struct Holder {
    identity: SpiffeId,
    key: PrivateKey,
}

impl Holder {
    fn new() -> Self {
        Self { identity: ID.parse().unwrap(), key: PrivateKey::generate().unwrap() }
    }

    fn expected(&self) -> Expected<'_> {
        Expected { identity: &self.identity, public_key: self.key.public_key() }
    }

    fn leaf<'a>(&self, authority: &'a TestAuthority) -> TestLeaf<'a> {
        authority.leaf(self.key.public_key(), &self.identity, now())
    }

    fn verify(
        &self,
        chain: Vec<CertificateDer<'static>>,
        authority: &TestAuthority,
    ) -> Result<X509Svid, SvidError> {
        X509Svid::verify(chain, self.expected(), &authority.bundle(), now())
    }
}

fn authority() -> TestAuthority {
    TestAuthority::new("cluster.local", now())
}

/// A leaf of our own template for a caller of its own, and its proof that the authority signs so.
fn issued(authority: &TestAuthority) -> (Vec<CertificateDer<'static>>, Holder) {
    let caller = testing::caller(&"cluster.local".parse().unwrap(), "shop", "cart", now());
    let (approved, key) = testing::approved(&caller, HOUR);
    (authority.issue(&approved, now()), Holder { identity: caller.identity().clone(), key })
}

fn proof(authority: &TestAuthority) -> Result<AuthorityProof, SvidError> {
    let (chain, holder) = issued(authority);
    let (signer, bundle) = (authority.certificate(), authority.bundle());
    AuthorityProof::from_throw_away(chain, holder.expected(), signer, &bundle, now())
}

fn not_trusted(result: Result<X509Svid, SvidError>) -> webpki::Error {
    match result {
        Err(SvidError::NotTrusted { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_template_makes_is_an_svid() {
    let root = authority();
    let intermediate = root.intermediate(now());
    for (name, authority, length) in [
        ("root", &root, 1),
        ("intermediate", &intermediate, 2),
        ("two", &intermediate.intermediate(now()), 3),
    ] {
        let (chain, holder) = issued(authority);
        let svid = holder.verify(chain.clone(), authority).unwrap();
        assert_eq!(svid.chain(), chain, "{name}");
        assert_eq!(svid.chain().len(), length, "{name}");
        assert_eq!(svid.identity().as_str(), ID, "{name}");
        assert_eq!(svid.validity().not_after(), now() + HOUR, "{name}");
        assert_eq!(svid.to_pem_elements().len(), length, "{name}");
        assert!(svid.to_pem_elements().iter().all(|pem| pem.ends_with("-----END CERTIFICATE-----\n")));
    }
}

#[test]
fn the_serial_is_the_one_that_openssl_reads() {
    let authority = authority();
    let (chain, holder) = issued(&authority);
    let svid = holder.verify(chain, &authority).unwrap();
    let openssl = OpenSsl::new();
    openssl.write("leaf.pem", &svid.to_pem_elements()[0]);
    let serial = openssl.run("x509 -in leaf.pem -noout -serial").to_lowercase();
    assert_eq!(serial.trim(), format!("serial={}", svid.serial()));
}

#[test]
fn each_rule_of_x509_svid_refuses_what_breaks_it() {
    type Change = fn(TestLeaf<'_>) -> TestLeaf<'_>;
    let unknown_id = der::oid::ObjectIdentifier::new_unwrap("1.2.3.4");
    let table: [(&str, Change, BrokenRule); 13] = [
        ("X-01 no URI", |leaf| leaf.uris(&[]), BrokenRule::Uris { count: 0 }),
        ("X-01 two URIs", |leaf| leaf.uris(&[ID, "spiffe://a/b"]), BrokenRule::Uris { count: 2 }),
        ("X-01 its URI twice", |leaf| leaf.uris(&[ID, ID]), BrokenRule::Uris { count: 2 }),
        ("X-05 SAN not critical", |leaf| leaf.uris(&[]).change(add(san())), BrokenRule::SanNotCritical),
        ("X-10 CA:TRUE", |leaf| leaf.ca(), BrokenRule::Ca),
        ("X-13 no key usage", |leaf| leaf.change(|p| p.key_usages.clear()), BrokenRule::NoKeyUsage),
        (
            "X-13 key usage not critical",
            |leaf| leaf.change(|p| p.key_usages.clear()).change(add(key_usage())),
            BrokenRule::NoKeyUsage,
        ),
        (
            "X-15 no digital signature",
            |leaf| leaf.change(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
            BrokenRule::NoDigitalSignature,
        ),
        (
            "X-16 keyCertSign",
            |leaf| leaf.change(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            BrokenRule::MaySign,
        ),
        (
            "X-16 cRLSign",
            |leaf| leaf.change(|p| p.key_usages.push(KeyUsagePurpose::CrlSign)),
            BrokenRule::MaySign,
        ),
        (
            "X-17 client only",
            |leaf| leaf.change(|p| drop(p.extended_key_usages.remove(0))),
            BrokenRule::OneSided,
        ),
        ("X-17 server only", |leaf| leaf.change(|p| drop(p.extended_key_usages.pop())), BrokenRule::OneSided),
        (
            "X-19 unknown critical extension",
            |leaf| leaf.change(add(critical(unknown()))),
            BrokenRule::UnknownCritical(unknown_id),
        ),
    ];
    let (authority, holder) = (authority(), Holder::new());
    for (name, change, rule) in table {
        let chain = change(holder.leaf(&authority)).sign();
        assert_eq!(holder.verify(chain, &authority).unwrap_err(), SvidError::Rule(rule), "{name}");
    }
}

/// Adds an extension that rcgen would lay out otherwise.
fn add(extension: CustomExtension) -> impl FnOnce(&mut rcgen::CertificateParams) {
    move |params| params.custom_extensions.push(extension)
}

fn critical(mut extension: CustomExtension) -> CustomExtension {
    extension.set_criticality(true);
    extension
}

/// A subjectAltName of [`ID`].
fn san() -> CustomExtension {
    let names = tlv(0x30, &[&tlv(0x86, &[ID.as_bytes()])]);
    CustomExtension::from_oid_content(&[2, 5, 29, 17], names)
}

/// A keyUsage of digitalSignature.
fn key_usage() -> CustomExtension {
    CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 0x80])
}

fn unknown() -> CustomExtension {
    CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0])
}

#[test]
fn x_04_a_trust_domain_s_own_id_is_no_workload_s() {
    let (authority, mut holder) = (authority(), Holder::new());
    holder.identity = "spiffe://cluster.local".parse().unwrap();
    let chain = holder.leaf(&authority).sign();
    assert_eq!(holder.verify(chain, &authority).unwrap_err(), SvidError::Rule(BrokenRule::RootPath));
}

#[test]
fn others_profiles_pass() {
    type Change = fn(TestLeaf<'_>) -> TestLeaf<'_>;
    let table: [(&str, Change); 6] = [
        ("no basicConstraints", |leaf| leaf.change(|p| p.is_ca = IsCa::NoCa)),
        ("keyEncipherment", |leaf| leaf.change(|p| p.key_usages.push(KeyUsagePurpose::KeyEncipherment))),
        ("keyAgreement", |leaf| leaf.change(|p| p.key_usages.push(KeyUsagePurpose::KeyAgreement))),
        ("no extended key usage", |leaf| leaf.change(|p| p.extended_key_usages.clear())),
        ("one more use", |leaf| {
            leaf.change(|p| p.extended_key_usages.push(ExtendedKeyUsagePurpose::CodeSigning))
        }),
        ("a subject and a DNS name", |leaf| {
            leaf.change(|p| {
                p.distinguished_name.push(DnType::CommonName, "cart");
                p.subject_alt_names.push(SanType::DnsName("cart.shop.svc".try_into().unwrap()));
            })
        }),
    ];
    let (authority, holder) = (authority(), Holder::new());
    for (name, change) in table {
        let verified = holder.verify(change(holder.leaf(&authority)).sign(), &authority);
        assert!(verified.is_ok(), "{name}: {verified:?}");
    }
}

#[test]
fn it_is_told_how_a_leaf_differs_from_our_own() {
    type Change = fn(TestLeaf<'_>) -> TestLeaf<'_>;
    let table: [(&str, Change, &[ProfileDifference]); 4] = [
        ("our own", |leaf| leaf, &[]),
        (
            "what Vault makes by default",
            |leaf| {
                leaf.change(|p| {
                    p.key_usages.extend([KeyUsagePurpose::KeyAgreement, KeyUsagePurpose::KeyEncipherment]);
                    p.is_ca = IsCa::NoCa;
                })
            },
            &[ProfileDifference::KeyUsage, ProfileDifference::NoBasicConstraints],
        ),
        (
            "another usage",
            |leaf| leaf.change(|p| p.key_usages.push(KeyUsagePurpose::ContentCommitment)),
            &[ProfileDifference::KeyUsage],
        ),
        (
            "a subject",
            |leaf| leaf.change(|p| p.distinguished_name.push(DnType::CommonName, "cart")),
            &[ProfileDifference::Subject],
        ),
    ];
    let (authority, holder) = (authority(), Holder::new());
    for (name, change, differences) in table {
        let chain = change(holder.leaf(&authority)).sign();
        assert_eq!(profile_differences(&chain[0]).unwrap(), differences, "{name}");
    }
}

#[test]
fn an_extension_that_stands_twice_is_refused() {
    let (authority, holder) = (authority(), Holder::new());
    let chain = holder.leaf(&authority).change(add(critical(san()))).sign();
    let refusal = holder.verify(chain, &authority).unwrap_err();
    assert!(matches!(refusal, SvidError::Malformed(X509Error::Duplicate(_))), "{refusal:?}");
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let (authority, holder, other) = (authority(), Holder::new(), Holder::new());
    let wrong_key = holder.verify(other.leaf(&authority).sign(), &authority);
    assert_eq!(wrong_key.unwrap_err(), SvidError::WrongKey);
    for found in ["spiffe://cluster.local/ns/shop/sa/admin", "https://cluster.local/ns/shop/sa/cart"] {
        let wrong_name = holder.verify(holder.leaf(&authority).uris(&[found]).sign(), &authority);
        let refusal = SvidError::WrongIdentity { found: found.to_owned(), expected: holder.identity.clone() };
        assert_eq!(wrong_name.unwrap_err(), refusal);
    }
}

#[test]
fn an_identity_is_verified_by_its_own_trust_domain_s_bundle() {
    let (authority, holder) = (TestAuthority::new("other.local", now()), Holder::new());
    let refusal = holder.verify(holder.leaf(&authority).sign(), &authority).unwrap_err();
    assert!(matches!(refusal, SvidError::ForeignTrustDomain { .. }), "{refusal:?}");
}

#[test]
fn a_leaf_outside_of_its_validity_is_refused() {
    let (authority, holder) = (authority(), Holder::new());
    let second = Duration::from_secs(1);
    let verify = |from, to| holder.verify(holder.leaf(&authority).valid(from, to).sign(), &authority);
    assert_eq!(verify(now() - HOUR, now() - second).unwrap_err(), SvidError::Expired);
    assert_eq!(verify(now() + second, now() + HOUR).unwrap_err(), SvidError::NotYetValid);
    assert!(verify(now(), now()).is_ok());
}

#[test]
fn a_chain_that_peers_could_not_follow_is_refused() {
    let (root, holder) = (authority(), Holder::new());
    let intermediate = root.intermediate(now());
    let chain = holder.leaf(&intermediate).sign();
    let unknown_root = X509Svid::verify(chain.clone(), holder.expected(), &authority().bundle(), now());
    assert_eq!(not_trusted(unknown_root), webpki::Error::UnknownIssuer);
    let no_intermediate = holder.verify(chain[..1].to_vec(), &root);
    assert_eq!(not_trusted(no_intermediate), webpki::Error::UnknownIssuer);
    let mut tampered = chain[0].to_vec();
    *tampered.last_mut().unwrap() ^= 1;
    let tampered = holder.verify(vec![tampered.into(), chain[1].clone()], &root);
    assert_eq!(not_trusted(tampered), webpki::Error::InvalidSignatureForPublicKey);
    assert_eq!(holder.verify(Vec::new(), &root).unwrap_err(), SvidError::EmptyChain);
    let long = holder.verify(vec![chain[0].clone(); MAX_CHAIN + 1], &root);
    assert_eq!(long.unwrap_err(), SvidError::LongChain);
}

#[test]
fn an_authority_that_has_expired_is_trusted_no_more() {
    let long_ago = now() - 20 * 365 * 24 * HOUR;
    let (root, holder) = (TestAuthority::new("cluster.local", long_ago), Holder::new());
    let refusal = holder.verify(holder.leaf(&root).sign(), &root);
    assert_eq!(not_trusted(refusal), webpki::Error::UnknownIssuer, "the root");
    let root = authority();
    let intermediate = root.intermediate(long_ago);
    let refusal = not_trusted(holder.verify(holder.leaf(&intermediate).sign(), &root));
    assert!(matches!(refusal, webpki::Error::CertExpired { .. }), "the intermediate: {refusal:?}");
}

#[test]
fn an_intermediate_for_one_end_of_tls_is_not_enough() {
    let (root, holder) = (authority(), Holder::new());
    let below = root.intermediate(now());
    let one_sided = root.leaf(below.key().public_key(), &ID.parse().unwrap(), now()).change(|params| {
        let (key, validity) = (below.key().public_key(), below.certificate().validity());
        *params = ca_certificate::profile(key, root.bundle().trust_domain(), validity).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    let mut chain = holder.leaf(&below).sign();
    chain[1] = one_sided.sign().swap_remove(0);
    let refusal = not_trusted(holder.verify(chain, &root));
    assert!(matches!(refusal, webpki::Error::RequiredEkuNotFoundContext(_)), "{refusal:?}");
}

#[test]
fn a_leaf_cut_at_any_byte_is_refused() {
    let authority = authority();
    let (chain, holder) = issued(&authority);
    for end in 0..chain[0].len() {
        let cut = holder.verify(vec![chain[0][..end].to_vec().into()], &authority).unwrap_err();
        assert!(matches!(cut, SvidError::Malformed(_)), "cut at {end}: {cut:?}");
    }
}

#[test]
fn a_proven_authority_s_leaves_need_no_arithmetic() {
    for authority in [authority(), authority().intermediate(now())] {
        let proof = proof(&authority).unwrap();
        let (mut chain, holder) = issued(&authority);
        let svid = X509Svid::verify_signed_here(chain.clone(), holder.expected(), &proof, now()).unwrap();
        assert_eq!((svid.identity().as_str(), svid.chain()), (ID, &chain[..]));
        // That is the bargain: of a signature made here, only the arithmetic is taken on trust.
        let mut tampered = chain[0].to_vec();
        *tampered.last_mut().unwrap() ^= 1;
        chain[0] = tampered.into();
        assert!(X509Svid::verify_signed_here(chain.clone(), holder.expected(), &proof, now()).is_ok());
        assert!(holder.verify(chain, &authority).is_err());
    }
}

#[test]
fn a_leaf_of_another_authority_is_not_covered_by_the_proof() {
    let root = authority();
    let (one, other) = (root.intermediate(now()), root.intermediate(now()));
    let proof = proof(&one).unwrap();
    let signed_here = |chain, holder: &Holder| {
        X509Svid::verify_signed_here(chain, holder.expected(), &proof, now()).map(|_| ()).unwrap_err()
    };
    let differs = SvidError::NotOfTheAuthority;
    let (chain, holder) = issued(&other);
    assert_eq!(signed_here(chain, &holder), differs("issuer"));
    let (chain, holder) = issued(&one);
    assert_eq!(signed_here(chain[..1].to_vec(), &holder), differs("chain"), "without its intermediate");
    let mixed = vec![chain[0].clone(), other.intermediates()[0].clone()];
    assert_eq!(signed_here(mixed, &holder), differs("chain"), "another's intermediate");
    let chain = holder.leaf(&one).change(|p| p.use_authority_key_identifier_extension = false).sign();
    assert_eq!(signed_here(chain, &holder), differs("authorityKeyIdentifier"));
    let outliving = holder.leaf(&one).valid(now(), now() + 11 * 365 * 24 * HOUR).sign();
    assert_eq!(signed_here(outliving, &holder), differs("validity"));
}

#[test]
fn a_proof_ends_with_the_first_certificate_of_its_path() {
    let year = 365 * 24 * HOUR;
    let root = authority();
    let outliving = root.intermediate_with(now(), |params| params.not_after = (now() + 20 * year).into());
    let brief = root.intermediate_with(now(), |params| params.not_after = (now() + year).into());
    for (case, authority, ends) in [
        ("with the root, which an intermediate outlives", &outliving, now() + 10 * year),
        ("with an intermediate above the signer", &brief.intermediate(now()), now() + year),
    ] {
        let (proof, holder) = (proof(authority).unwrap(), Holder::new());
        let signed_at = |now| {
            let chain = holder.leaf(authority).valid(now, now).sign();
            let verified = X509Svid::verify(chain.clone(), holder.expected(), &authority.bundle(), now);
            let here = X509Svid::verify_signed_here(chain, holder.expected(), &proof, now).map(|_| ());
            assert_eq!(here.is_ok(), verified.is_ok(), "{case}: peers see it as we do");
            here
        };
        assert_eq!(signed_at(ends), Ok(()), "{case}");
        assert_eq!(signed_at(ends + Duration::from_secs(1)), Err(SvidError::PathOver), "{case}");
    }
}

#[test]
fn a_leaf_of_another_signature_algorithm_is_not_covered_by_the_proof() {
    let authority = authority();
    let caller = testing::caller(&"cluster.local".parse().unwrap(), "shop", "cart", now());
    let (approved, _) = testing::approved(&caller, HOUR);
    let algorithm = SignatureAlgorithm::EcdsaSha384;
    let template = LeafTemplate::new(&approved, authority.certificate(), algorithm, now()).unwrap();
    let chain = vec![template.assemble(&[0; 70]).unwrap()];
    let expected = Expected { identity: approved.identity(), public_key: approved.public_key() };
    let refusal =
        X509Svid::verify_signed_here(chain, expected, &proof(&authority).unwrap(), now()).unwrap_err();
    assert_eq!(refusal, SvidError::NotOfTheAuthority("signature algorithm"));
}

#[test]
fn everything_but_the_arithmetic_is_checked_of_a_leaf_signed_here() {
    let authority = authority();
    let proof = proof(&authority).unwrap();
    let (holder, other) = (Holder::new(), Holder::new());
    let signed_here = |chain| {
        X509Svid::verify_signed_here(chain, holder.expected(), &proof, now()).map(|_| ()).unwrap_err()
    };
    let leaf = || holder.leaf(&authority);
    let second = Duration::from_secs(1);
    assert_eq!(signed_here(leaf().ca().sign()), SvidError::Rule(BrokenRule::Ca));
    assert_eq!(signed_here(other.leaf(&authority).sign()), SvidError::WrongKey);
    assert!(matches!(signed_here(leaf().uris(&["spiffe://a/b"]).sign()), SvidError::WrongIdentity { .. }));
    let expired = leaf().valid(now() - 2 * second, now() - second).sign();
    assert_eq!(signed_here(expired), SvidError::Expired);
    assert_eq!(signed_here(Vec::new()), SvidError::EmptyChain);
}

#[test]
fn an_authority_is_proven_by_its_own_signature_only() {
    let root = authority();
    let (chain, holder) = issued(&root);
    let from = |signer: &CaCertificate, bundle: &TrustBundle| {
        AuthorityProof::from_throw_away(chain.clone(), holder.expected(), signer, bundle, now())
            .map(|_| ())
            .unwrap_err()
    };
    let other = authority();
    let refusal = from(other.certificate(), &root.bundle());
    assert_eq!(refusal, SvidError::NotOfTheAuthority("signature"), "another signer");
    let refusal = from(root.certificate(), &other.bundle());
    assert!(matches!(refusal, SvidError::NotTrusted { .. }), "a bundle without its root: {refusal:?}");
}
