//! What a source has to say: the authority that is to sign from now on, or why there is none.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use signet_identity::{CaCertificate, SigningKey};

use super::{KnownAuthority, Origin};
use crate::{authority::Foreign, store::KeyRef};

/// An authority that a source would have sign.
#[derive(Clone)]
pub struct Offer {
    /// Where it comes from.
    pub origin: Origin,
    /// What its leaves name as their issuer.
    pub certificate: CaCertificate,
    /// As [`Assembler::new`](signet_backends::Assembler::new) wants them.
    pub intermediates: Vec<CertificateDer<'static>>,
    /// What proxies must hold.
    pub roots: Vec<CertificateDer<'static>>,
    /// What signs.
    pub signer: OfferedSigner,
    /// Whether what the same source offered before can no longer sign: somebody else decides who does.
    pub ends_the_last: bool,
}

/// What signs under an offered authority.
#[derive(Clone)]
pub enum OfferedSigner {
    /// A key in this process, and where the state directory has it, if it does.
    Key(Arc<SigningKey>, Option<KeyRef>),
    /// Another authority.
    Foreign(Foreign),
}

/// Why a source has nothing (new) to offer, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFault(pub String);

impl Offer {
    /// What is remembered of it.
    pub(super) fn known(&self) -> KnownAuthority {
        let key = match &self.signer {
            OfferedSigner::Key(_, stored) => stored.clone(),
            OfferedSigner::Foreign(_) => None,
        };
        KnownAuthority {
            origin: self.origin,
            certificate: self.certificate.clone(),
            intermediates: self.intermediates.clone(),
            roots: self.roots.clone(),
            key,
        }
    }
}
