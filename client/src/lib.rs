//! Talking to a CA by the Istio CA protocol, and to an agent by SDS.

mod token;

pub use token::{MAX_TOKEN_BYTES, Token, TokenError, TokenHash};
