//! Talking to a CA by the Istio CA protocol, and to an agent by SDS.
//!
//! [`CaClient`] is the port that the agent stands on: a [`Token`] and a CSR in, an [`Issued`] chain or a
//! [`CaError`] out. `testing::FakeCa` is a whole CA in memory for tests.

mod ca;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;

pub use ca::{AnswerFault, CaClient, CaError, Issued, Outage, Reachability, Refusal};
pub use token::{MAX_TOKEN_BYTES, Token, TokenError, TokenHash};
