//! Flags that several verbs share: which CA is asked, which agent, and by which token.

mod agent;
mod ca;
mod token;

pub(crate) use agent::AgentFlags;
pub(crate) use ca::CaFlags;
pub(crate) use token::TokenFlags;
