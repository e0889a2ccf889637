//! What several verbs take: which CA is asked, which agent, which server, and by which token.

mod agent;
mod ca;
mod tls_address;
mod token;

pub(crate) use agent::AgentFlags;
pub(crate) use ca::CaFlags;
pub(crate) use tls_address::TlsAddress;
pub(crate) use token::TokenFlags;
