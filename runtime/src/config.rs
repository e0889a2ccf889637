//! Configuration: one TOML file per process, every key overridable by environment, all faults in one report.
//!
//! serde stops at the first fault, so a [`Document`] is not deserialised: each section of a process asks for
//! its keys one by one, and every answer that could not be given is kept. [`Document::finish`] adds the keys
//! and variables that nobody asked for, and refuses the whole or gives the configuration.
//!
//! ```
//! use std::time::Duration;
//! use signet_runtime::config::{Document, Environment, Section};
//!
//! struct Issuing { trust_domain: String, max_lifetime: Duration }
//!
//! fn issuing(section: &Section) -> Option<Issuing> {
//!     let trust_domain = section.required("trust_domain"); // both faults are seen, before either `?`
//!     let max_lifetime = section.optional("max_lifetime", Duration::from_secs(24 * 3600));
//!     Some(Issuing { trust_domain: trust_domain?, max_lifetime })
//! }
//!
//! let environment = Environment::of("SIGNET_CA_", &[], [("SIGNET_CA_ISSUING_MAX_LIFETIME", "12h")]);
//! let document = Document::parse("ca.toml", "[issuing]\ntrust_domain = 'mesh.example'", environment)?;
//! let issuing = issuing(&document.section("issuing"));
//! let issuing = document.finish(issuing)?;
//! assert_eq!(issuing.max_lifetime, Duration::from_secs(12 * 3600));
//! # Ok::<(), signet_runtime::config::Faults>(())
//! ```

mod document;
mod environment;
mod faults;
mod section;
mod setting;

pub use document::Document;
pub use environment::Environment;
pub use faults::Faults;
pub use section::Section;
pub use setting::{Mode, Setting, one_of};

#[cfg(test)]
mod tests;
