//! A backend that assembles by itself, as a service would, and can be made to lie.

use std::time::SystemTime;

use async_trait::async_trait;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, PrivateKey};
use tokio::time::Instant;

use super::{DAY, HOUR, Root, now, pair};
use crate::{Issuer, IssuerError, conformance::workload};

/// The SubjectPublicKeyInfo of a P-256 key.
struct P256<'a>(&'a [u8]);

impl PublicKeyData for P256<'_> {
    fn der_bytes(&self) -> &[u8] {
        let uncompressed_point = self.0.len() - 65;
        &self.0[uncompressed_point..]
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// A backend of the kind that assembles by itself, and not always what was approved.
pub(super) struct Foreign {
    pub(super) root: Root,
    pub(super) lie: Lie,
}

type ChangeLeaf = fn(&mut CertificateParams);

/// From the leaf and the root to what is answered.
type ChangeChain = fn(CertificateDer<'static>, CertificateDer<'static>) -> Vec<CertificateDer<'static>>;

/// Where its answers differ from what was approved.
#[derive(Clone, Copy)]
pub(super) enum Lie {
    None,
    /// In the certificate.
    Leaf(ChangeLeaf),
    /// It is for a key of the backend's own.
    Key,
    /// In the chain, which should be the leaf alone.
    Chain(ChangeChain),
}

#[async_trait]
impl Issuer for Foreign {
    async fn issue(
        &self,
        approved: &Approved,
        now: SystemTime,
        _deadline: Instant,
    ) -> Result<Vec<CertificateDer<'static>>, IssuerError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(approved.identity().as_str().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let ends = (now + approved.lifetime()).min(self.root.ends());
        (params.not_before, params.not_after) = (now.into(), ends.into());
        if let Lie::Leaf(change) = self.lie {
            change(&mut params);
        }
        let leaf = match self.lie {
            Lie::Key => self.root.certify(&params, &pair(&PrivateKey::generate().unwrap())),
            _ => self.root.certify(&params, &P256(approved.public_key().spki_der())),
        };
        Ok(if let Lie::Chain(change) = self.lie {
            change(leaf, self.root.certificate.der().clone())
        } else {
            vec![leaf]
        })
    }
}

/// What is wrong with the leaf, and how it shows.
pub(super) const LEAF_LIES: &[(&str, ChangeLeaf, &str)] = &[
    (
        "another identity",
        |leaf| leaf.subject_alt_names = vec![uri("spiffe://cluster.local/ns/a/sa/b")],
        "not for spiffe://",
    ),
    ("a second identity", |leaf| leaf.subject_alt_names.push(uri("spiffe://cluster.local/ns/a/sa/b")), "URI"),
    (
        "a DNS name that nobody approved",
        |leaf| leaf.subject_alt_names.push(dns("admin.example.org")),
        "the names are",
    ),
    ("a CA certificate", |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), "CA"),
    ("it may sign certificates", |leaf| leaf.key_usages.push(KeyUsagePurpose::KeyCertSign), "keyCertSign"),
    (
        "no use as a server",
        |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        "serverAuth",
    ),
    (
        "expired",
        |leaf| (leaf.not_before, leaf.not_after) = ((now() - DAY).into(), (now() - HOUR).into()),
        "expired",
    ),
    ("not yet valid", |leaf| leaf.not_before = (now() + HOUR).into(), "not yet valid"),
    ("backdated by a day", |leaf| leaf.not_before = (now() - DAY).into(), "it begins at"),
    ("longer than approved", |leaf| leaf.not_after = (now() + 2 * HOUR).into(), "an hour was approved"),
    ("longer than the signer", |leaf| leaf.not_after = (now() + 366 * DAY).into(), "after its signer"),
    (
        "the CSR's extension",
        |leaf| leaf.custom_extensions = vec![unknown_extension()],
        "an extension was copied",
    ),
    ("the CSR's subject", |leaf| leaf.distinguished_name.push(DnType::CommonName, "admin"), "the subject is"),
    ("one serial for all", |leaf| leaf.serial_number = Some(7_u64.into()), "1 serials"),
];

/// What is wrong with the chain, and how it shows.
pub(super) const CHAIN_LIES: &[(&str, ChangeChain, &str)] = &[
    ("no certificate", |_, _| vec![], "empty"),
    ("the root instead", |_, root| vec![root], "CA"),
    ("the root as well", |leaf, root| vec![leaf, root], "a root is in the chain"),
];

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn unknown_extension() -> CustomExtension {
    CustomExtension::from_oid_content(&workload::UNKNOWN_EXTENSION, vec![5, 0])
}
