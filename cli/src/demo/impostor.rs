//! A workload that asks the CA for the name of another.

use std::fs;

use anyhow::{Context, Result};
use signet_client::{CaClient, CaError, IstioCa, Token};
use signet_identity::{CertificateRequest, PrivateKey};

use crate::output::Proof;
use crate::stage::Mesh;

/// `intruder` shows its own token, which is in order, and a CSR for the name of `orders`.
pub(super) async fn is_refused(mesh: &Mesh) -> Result<Vec<Proof>> {
    let (impostor, victim) = (&mesh.workloads.intruder, mesh.workloads.orders.identity());
    let token = Token::new(&impostor.mint_token()?)?;
    let csr = CertificateRequest::pem(&PrivateKey::generate()?, victim)?;
    let answer = IstioCa::new(mesh.ca.endpoint()?)?.issue(&token, &csr, None).await;

    let refusal = match answer {
        Err(error @ CaError::Denied(_)) => error,
        Err(other) => return Err(other).context("the CA did not say PERMISSION_DENIED"),
        Ok(_) => return Ok(vec![Proof::new(false, format!("the CA gave away {victim}"))]),
    };
    let request_id = refusal.request_id().context("the refusal carries no request id")?;
    let audit = fs::read_to_string(mesh.ca.audit_log())?;
    let record = audit.lines().find(|line| line.contains("\"refused\"") && line.contains(request_id));
    Ok(vec![
        Proof::new(true, format!("{} asked for the name of orders: PERMISSION_DENIED", impostor.name()))
            .evidence(refusal.to_string()),
        Proof::new(record.is_some(), "the audit log has who asked, for which name, and why it was refused")
            .evidence(record.unwrap_or_default()),
    ])
}
