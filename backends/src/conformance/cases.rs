//! The cases themselves.

use std::{collections::HashSet, time::Duration};

use futures_util::future::try_join_all;
use rustls_pki_types::CertificateDer;
use signet_identity::{Approved, Expected, X509Svid};
use tokio::time::{Instant, sleep, timeout};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::{Backend, Held, Outcome, State, workload};
use crate::IssuerError;

type Error = Box<dyn std::error::Error + Send + Sync>;

const HOUR: Duration = Duration::from_secs(3600);

/// For one certificate, beside 63 others.
const PATIENCE: Duration = Duration::from_secs(10);

/// What may come between a deadline and its being noticed.
const BUSY_MACHINE: Duration = Duration::from_secs(2);

/// What clocks of two honest machines may differ by, and a second of rounding.
const MAX_BACKDATE: Duration = Duration::from_secs(61);

pub(super) async fn peers_accept_the_leaf(backend: &Backend) -> Outcome {
    let approved = workload::approved(HOUR, backend.now())?;
    issue(backend, &approved).await?;
    Ok(Held::Yes)
}

pub(super) async fn only_approved_names(backend: &Backend) -> Outcome {
    let approved = workload::approved_though_greedy(HOUR, backend.now())?;
    let svid = issue(backend, &approved).await?;
    let leaf = parsed(&svid)?.swap_remove(0);
    let tbs = leaf.tbs_certificate();
    let names = tbs.get_extension::<SubjectAltName>()?.map(|(_, names)| names.0).unwrap_or_default();
    match names.as_slice() {
        [GeneralName::UniformResourceIdentifier(uri)] if uri.as_str() == approved.identity().as_str() => {}
        other => return Err(format!("the names are {other:?}").into()),
    }
    if tbs.subject().to_string().contains("admin") {
        return Err(format!("the subject is {}, as the CSR asked", tbs.subject()).into());
    }
    let unknown = workload::UNKNOWN_EXTENSION.map(|arc| arc.to_string()).join(".");
    match tbs.extensions().is_some_and(|all| all.iter().any(|one| one.extn_id.to_string() == unknown)) {
        true => Err("an extension was copied from the CSR".into()),
        false => Ok(Held::Yes),
    }
}

pub(super) async fn approved_lifetime(backend: &Backend) -> Outcome {
    let svid = issue(backend, &workload::approved(HOUR, backend.now())?).await?;
    let validity = svid.validity();
    if validity.not_after() > backend.now() + HOUR {
        return Err(format!("an hour was approved, it ends at {:?}", validity.not_after()).into());
    }
    if validity.not_before() + MAX_BACKDATE < backend.now() {
        return Err(format!("it begins at {:?}", validity.not_before()).into());
    }
    Ok(Held::Yes)
}

pub(super) async fn never_outlives_the_signer(backend: &Backend) -> Outcome {
    let svid =
        issue(backend, &workload::approved(Duration::from_secs(100 * 365 * 86_400), backend.now())?).await?;
    match svid.validity().not_after() {
        ends if ends > backend.signer_ends => Err(format!("it ends at {ends:?}, after its signer").into()),
        _ => Ok(Held::Yes),
    }
}

pub(super) async fn chain_in_order(backend: &Backend) -> Outcome {
    let svid = issue(backend, &workload::approved(HOUR, backend.now())?).await?;
    if svid.chain().iter().any(|one| backend.bundle.authorities().contains(one)) {
        return Err("a root is in the chain".into());
    }
    let roots = backend.bundle.authorities().iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let chain = parsed(&svid)?;
    for (place, certificate) in chain.iter().enumerate() {
        let above = chain.get(place + 1).map_or(roots.as_slice(), std::slice::from_ref);
        let issuer = certificate.tbs_certificate().issuer().to_der()?;
        let is_above =
            |one: &Certificate| one.tbs_certificate().subject().to_der().is_ok_and(|name| name == issuer);
        if !above.iter().any(is_above) {
            return Err(format!("certificate {place} is not followed by its issuer's").into());
        }
    }
    Ok(Held::Yes)
}

pub(super) async fn many_at_once(backend: &Backend) -> Outcome {
    let approved = (0..64).map(|_| workload::approved(HOUR, backend.now())).collect::<Result<Vec<_>, _>>()?;
    let svids = try_join_all(approved.iter().map(|approved| issue(backend, approved))).await?;
    match svids.iter().map(X509Svid::serial).collect::<HashSet<_>>().len() {
        64 => Ok(Held::Yes),
        serials => Err(format!("{serials} serials").into()),
    }
}

pub(super) async fn dropped_calls(backend: &Backend) -> Outcome {
    let mut dropped = 0;
    for _ in 0..8 {
        let approved = workload::approved(HOUR, backend.now())?;
        // Long enough to be under way.
        dropped += usize::from(timeout(Duration::from_millis(2), issue(backend, &approved)).await.is_err());
    }
    issue(backend, &workload::approved(HOUR, backend.now())?).await?;
    // Of one that signs at once, no call is ever under way.
    Ok(if dropped > 0 { Held::Yes } else { Held::NotApplicable })
}

pub(super) async fn deadline(backend: &Backend) -> Outcome {
    if let Some(elsewhere) = &backend.elsewhere {
        elsewhere(State::Silent);
    }
    let approved = workload::approved(HOUR, backend.now())?;
    for given in [Duration::ZERO, Duration::from_millis(200)] {
        let call = backend.issuer.issue(&approved, backend.now(), Instant::now() + given);
        if timeout(given + BUSY_MACHINE, call).await.is_err() {
            return Err(format!("it was given {given:?}, and went on").into());
        }
    }
    Ok(Held::Yes)
}

pub(super) async fn authority_away(backend: &Backend) -> Outcome {
    let Some(elsewhere) = &backend.elsewhere else { return Ok(Held::NotApplicable) };
    let approved = workload::approved(HOUR, backend.now())?;
    issue(backend, &approved).await?;
    for state in [State::Closed, State::Silent] {
        elsewhere(state);
        let soon = Instant::now() + Duration::from_secs(1);
        match backend.issuer.issue(&approved, backend.now(), soon).await {
            Ok(_) => return Err(format!("{state:?}, and it signed").into()),
            Err(IssuerError::Unavailable(_)) => {}
            Err(IssuerError::Vault(error)) if error.is_temporary() => {}
            Err(error) => {
                return Err(format!("{state:?}, and it says that this will not pass: {error:?}").into());
            }
        }
        elsewhere(State::Serves);
        let back = async {
            while issue(backend, &approved).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, back).await.map_err(|_| format!("it signs no more after {state:?}"))?;
    }
    Ok(Held::Yes)
}

/// Issues, and verifies in full as a peer does.
async fn issue(backend: &Backend, approved: &Approved) -> Result<X509Svid, Error> {
    let chain = backend.issuer.issue(approved, backend.now(), Instant::now() + PATIENCE).await?;
    let expected = Expected { identity: approved.identity(), public_key: approved.public_key() };
    Ok(X509Svid::verify(chain, expected, &backend.bundle, backend.now())?)
}

fn parsed(svid: &X509Svid) -> Result<Vec<Certificate>, Error> {
    svid.chain().iter().map(parse).collect()
}

fn parse(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Ok(Certificate::from_der(certificate)?)
}
