//! Talking to a CA by the Istio CA protocol, and to an agent by SDS.
//!
//! [`CaClient`] is the port that the agent stands on: a [`Token`] and a CSR in, an [`Issued`] chain or a
//! [`CaError`] out. [`IstioCa`] speaks it on the wire; `testing::FakeCa` is a whole CA in memory for tests.

mod ca;
mod http2;
mod regular_file;
pub mod sds;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;

pub use ca::{
    AnchorsError, AnswerFault, CaClient, CaEndpoint, CaError, CaEvent, EndpointError, Issued, IstioCa,
    Outage, Reachability, Refusal,
};
pub use token::{MAX_TOKEN_BYTES, Token, TokenError, TokenHash};
