//! The forms that private keys are kept in, taken apart no further than needed to say what is in them.

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{Decode, Encode, Reader, SliceReader};
use ring::rand::SystemRandom;
use ring::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm};

use crate::x509::parse_all;
use crate::{KeyAlgorithm, PublicKeyError};

use super::{EC, SigningKeyError, malformed, rejected};

/// PrivateKeyInfo (RFC 5958 §2).
pub(super) struct PrivateKeyInfo<'a> {
    /// An AlgorithmIdentifier, as a whole.
    pub(super) algorithm: &'a [u8],
    /// In the form of its algorithm.
    pub(super) private_key: &'a [u8],
}

impl<'a> PrivateKeyInfo<'a> {
    pub(super) fn of(der: &'a [u8]) -> der::Result<Self> {
        parse_all(der, |reader| {
            reader.sequence(|reader| {
                u8::decode(reader)?;
                let (algorithm, private_key) = (reader.tlv_bytes()?, <&OctetStringRef>::decode(reader)?);
                skip_the_rest(reader)?;
                Ok(Self { algorithm, private_key: private_key.as_bytes() })
            })
        })
    }
}

/// ECPrivateKey (RFC 5915 §3).
#[derive(der::Sequence)]
pub(super) struct EcPrivateKey<'a> {
    version: u8,
    private_key: &'a OctetStringRef,
    #[asn1(context_specific = "0", optional = "true", tag_mode = "EXPLICIT")]
    parameters: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", optional = "true", tag_mode = "EXPLICIT")]
    public_key: Option<BitStringRef<'a>>,
}

impl<'a> EcPrivateKey<'a> {
    pub(super) fn of(der: &'a [u8]) -> Result<Self, SigningKeyError> {
        Self::from_der(der).map_err(|_| malformed(EC))
    }

    /// The curve that it names, which only the SEC1 form must.
    pub(super) fn curve(&self) -> Result<KeyAlgorithm, SigningKeyError> {
        let named = self.parameters.map(|parameters| parameters.decode_as::<ObjectIdentifier>());
        match named {
            Some(Ok(P256)) => Ok(KeyAlgorithm::EcdsaP256),
            Some(Ok(P384)) => Ok(KeyAlgorithm::EcdsaP384),
            Some(Ok(other)) => Err(PublicKeyError::NotAllowed { algorithm: other.to_string() }.into()),
            Some(Err(_)) | None => Err(malformed(EC)),
        }
    }

    /// ring computes no public half, but checks that it is the private one's.
    pub(super) fn pair(
        &self,
        algorithm: &'static EcdsaSigningAlgorithm,
    ) -> Result<EcdsaKeyPair, SigningKeyError> {
        let public = self.public_key.and_then(|bits| bits.as_bytes()).ok_or(SigningKeyError::NoPublicHalf)?;
        let (private, random) = (self.private_key.as_bytes(), SystemRandom::new());
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &random)
            .map_err(|reason| rejected(reason, EC))
    }
}

/// The RSAPublicKey in an RSAPrivateKey (RFC 8017 §A.1).
pub(super) fn public_of_pkcs1(der: &[u8]) -> der::Result<Vec<u8>> {
    parse_all(der, |reader| {
        reader.sequence(|reader| {
            u8::decode(reader)?;
            let public = [UintRef::decode(reader)?, UintRef::decode(reader)?];
            skip_the_rest(reader)?;
            public.to_vec().to_der()
        })
    })
}

fn skip_the_rest(reader: &mut SliceReader<'_>) -> der::Result<()> {
    reader.drain(reader.remaining_len())
}

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
