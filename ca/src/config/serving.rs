//! `[serving]`: the CA's own certificate, if an operator keeps it.

use std::path::PathBuf;

use signet_runtime::config::Section;

use crate::serving_certificate::ServingFiles;

/// `certificate_file` and `key_file`. Without them the CA has its own signed by the authority.
pub(super) fn read(section: &Section<'_>) -> Option<ServingFiles> {
    let certificate: Option<PathBuf> = section.maybe("certificate_file");
    let key: Option<PathBuf> = section.maybe("key_file");
    if certificate.is_some() != key.is_some() {
        section.fault("certificate_file", "needs `key_file`, and the other way round");
    }
    Some(ServingFiles { certificate: certificate?, key: key? })
}
