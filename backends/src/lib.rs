//! Who signs: the ports [`Issuer`] and [`Signer`], and one file per backend.
//!
//! An [`Issuer`] turns an approval into a certificate chain. There are two kinds. Where *we assemble* (the
//! [`Assembler`]), the bytes to be signed are laid out here and only the signature comes from a [`Signer`],
//! [`LocalSigner`] for a key in this process. Where *they assemble*, another authority is asked for the whole
//! certificate, as [`vault`] is. Either way the chain is only a claim until `X509Svid` has verified it.

mod assembler;
#[cfg(test)]
mod conformance;
pub mod injected;
mod issuer;
mod local;
mod signer;
#[cfg(test)]
mod test_support;
pub mod vault;

pub use assembler::Assembler;
pub use issuer::{Issuer, IssuerError};
pub use local::LocalSigner;
pub use signer::{SignError, Signer};
