//! What signs, and what its leaves are verified by: never one without the other.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use signet_backends::{Assembler, Issuer, IssuerError};
use signet_identity::{
    Approved, AuthorityProof, CaCertificate, Expected, KeyError, PrivateKey, RequestError, SvidError,
    TrustBundle, X509Svid,
};
use tokio::{sync::Notify, time::Instant};

use super::IssueError;
use crate::audit::Requester;

/// An authority that can sign.
#[derive(Clone)]
pub struct Active {
    certificate: CaCertificate,
    key_id: Arc<str>,
    /// Its own roots, and not all that are published: nothing is issued under a root before its time.
    bundle: Arc<TrustBundle>,
    signing: Signing,
}

#[derive(Clone)]
enum Signing {
    /// We assemble: the proof stands for the arithmetic of each signature.
    Here { assembler: Arc<Assembler>, proof: AuthorityProof },
    /// They assemble: each answer is verified in full.
    There(Foreign),
}

/// An authority that makes whole certificates, and is none of ours.
#[derive(Clone)]
pub struct Foreign {
    /// Signs for workloads.
    pub workloads: Arc<dyn Issuer>,
    /// Signs the CA's own serving certificate, if anybody does: what may sign for workloads may not sign DNS names.
    pub serving: Option<Arc<dyn Issuer>>,
    /// If it is not ours to say by which issuer it signs: told of each answer that leads to none of the authority's
    /// roots, for that may be the first word of another issuer.
    pub doubts: Option<Arc<Notify>>,
}

impl Foreign {
    fn issuer_for(&self, requester: &Requester) -> Result<&dyn Issuer, IssueError> {
        match requester {
            Requester::Caller { .. } => Ok(&*self.workloads),
            Requester::Authority => self.serving.as_deref().ok_or(IssueError::NoServingIssuer),
        }
    }

    fn not_verified(&self, error: SvidError) -> IssueError {
        match &self.doubts {
            Some(doubts) if matches!(error, SvidError::NotTrusted { .. }) => {
                doubts.notify_one();
                IssueError::AnotherIssuer(error)
            }
            _ => IssueError::NotVerified(error),
        }
    }
}

/// An authority that must not serve: what it issues would not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// It does not sign.
    #[error("authority {key_id} cannot issue a certificate")]
    Issuer {
        /// Of its certificate.
        key_id: String,
        /// Why not.
        source: IssuerError,
    },
    /// It signs, and nobody would believe it.
    #[error(
        "what authority {key_id} signs would be refused. Its key must be that of its certificate, and its \
         certificate must lead to a root of the bundle"
    )]
    NotProven {
        /// Of its certificate.
        key_id: String,
        /// What peers would say.
        source: SvidError,
    },
    /// The throw-away key could not be made: the machine's random numbers fail.
    #[error("cannot make a key")]
    Key(#[from] KeyError),
    /// The throw-away SVID could not be asked for: a fault of ours.
    #[error("cannot request a certificate")]
    Request(#[from] RequestError),
}

impl Active {
    /// An authority whose signatures are made in this process, for peers that trust `bundle`.
    ///
    /// A throw-away SVID is issued and verified in full under `bundle`; it stands for the arithmetic of all
    /// signatures to come, which are checked in every other respect. It is no issuance: key and certificate are gone
    /// before this returns, and the audit does not know of it.
    ///
    /// # Errors
    /// What it issues would not be accepted; see [`AuthorityError`].
    pub async fn here(
        assembler: Assembler,
        bundle: TrustBundle,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let certificate = assembler.certificate().clone();
        let proof = prove(&assembler, &bundle, now).await?;
        Ok(Self::new(Signing::Here { assembler: Arc::new(assembler), proof }, certificate, bundle))
    }

    /// An authority elsewhere, whose leaves name `certificate` as their issuer. Nothing is tried: it may sign for
    /// workloads only, and each of its answers is verified in full.
    pub fn there(foreign: Foreign, certificate: CaCertificate, bundle: TrustBundle) -> Self {
        Self::new(Signing::There(foreign), certificate, bundle)
    }

    fn new(signing: Signing, certificate: CaCertificate, bundle: TrustBundle) -> Self {
        Self { key_id: certificate.key_id().into(), certificate, bundle: Arc::new(bundle), signing }
    }

    /// The certificate that signs.
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// Its name in the audit: the subject key identifier of its certificate, in hex.
    pub(super) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether its certificate is valid at `now`.
    ///
    /// # Errors
    /// [`IssuerError::AuthorityNotValid`].
    pub fn judge(&self, now: SystemTime) -> Result<(), IssuerError> {
        let not_valid = |source| IssuerError::AuthorityNotValid { key_id: self.key_id.to_string(), source };
        self.certificate.validity().signs_at(now).map_err(not_valid)
    }

    /// Makes the certificate, and checks it as a peer will.
    pub(super) async fn certify(
        &self,
        approved: &Approved,
        requester: &Requester,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<X509Svid, IssueError> {
        match &self.signing {
            Signing::Here { assembler, proof } => {
                let chain = assembler.issue(approved, now, deadline).await?;
                X509Svid::verify_signed_here(chain, expected(approved), proof, now)
                    .map_err(IssueError::NotVerified)
            }
            Signing::There(foreign) => {
                let chain = foreign.issuer_for(requester)?.issue(approved, now, deadline).await?;
                let svid = X509Svid::verify(chain, expected(approved), &self.bundle, now)
                    .map_err(|error| foreign.not_verified(error))?;
                not_longer_than_granted(svid, approved, now)
            }
        }
    }
}

fn not_longer_than_granted(
    svid: X509Svid,
    approved: &Approved,
    now: SystemTime,
) -> Result<X509Svid, IssueError> {
    let granted = approved.lifetime() + CLOCKS_DIFFER_BY;
    if svid.validity().remaining(now) > granted {
        return Err(IssueError::TooLong { ends: svid.validity().not_after() });
    }
    Ok(svid)
}

/// Issues a throw-away SVID, and verifies it in full.
async fn prove(
    issuer: &Assembler,
    bundle: &TrustBundle,
    now: SystemTime,
) -> Result<AuthorityProof, AuthorityError> {
    let signer = issuer.certificate();
    let key = PrivateKey::generate()?;
    let approved =
        Approved::for_the_authority(bundle.trust_domain(), Vec::new(), &key, Duration::from_secs(60))?;
    let chain = issuer.issue(&approved, now, Instant::now() + PROOF_WITHIN).await;
    let chain = chain.map_err(|source| AuthorityError::Issuer { key_id: signer.key_id(), source })?;
    AuthorityProof::from_throw_away(chain, expected(&approved), signer, bundle, now)
        .map_err(|source| AuthorityError::NotProven { key_id: signer.key_id(), source })
}

fn expected(approved: &Approved) -> Expected<'_> {
    Expected { identity: approved.identity(), public_key: approved.public_key() }
}

/// What an authority has for its throw-away SVID.
const PROOF_WITHIN: Duration = Duration::from_secs(10);

/// The clocks of two honest machines.
const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
