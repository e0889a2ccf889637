//! The words of the field and the one decision: may this caller have this certificate?
//!
//! No I/O and nothing asynchronous.

mod spiffe_id;

pub use spiffe_id::{SpiffeId, SpiffeIdError, TrustDomain};
