//! Vault signs an intermediate of ours: the conformance suite while Vault is away, and what it gives.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use signet_identity::{Clock, TrustBundle, TrustDomain};
use signet_runtime::SystemClock;

use super::{
    bao::Bao,
    between::{Act, Between},
    client, soon,
};
use crate::{
    Assembler, LocalSigner,
    conformance::{self, Backend, TRUST_DOMAIN},
    vault::{IntermediateError, Login, VaultError, VaultIntermediate, VaultSession},
};

const DAY: Duration = Duration::from_secs(86_400);

async fn obtain(bao: &Bao, port: u16, lines: &str) -> Result<VaultIntermediate, IntermediateError> {
    let file = bao.token_file(json!({"policies": ["signet"], "ttl": "1h"})).await;
    let auth = format!("{lines}\nauth.method = 'token-file'\nauth.token_file = '{}'", file.display());
    let session = VaultSession::new(client(&[port], &auth), Login::Configured);
    VaultIntermediate::obtain(&session, &trust_domain(), SystemClock.now(), soon()).await
}

fn trust_domain() -> TrustDomain {
    TRUST_DOMAIN.parse().unwrap()
}

fn backend(intermediate: &VaultIntermediate) -> Backend {
    let VaultIntermediate { key, certificate, intermediates, roots, .. } = intermediate;
    let signer = LocalSigner::new(Arc::clone(key));
    Backend {
        issuer: Arc::new(Assembler::new(Arc::new(signer), certificate.clone(), intermediates.clone())),
        bundle: TrustBundle::new(trust_domain(), roots.clone(), None).unwrap(),
        clock: || SystemClock.now(),
        signer_ends: certificate.validity().not_after(),
        elsewhere: None,
    }
}

#[tokio::test]
async fn an_intermediate_of_vaults_conforms_while_vault_is_away() {
    let bao = Bao::start().await;
    let under_the_root = obtain(&bao, bao.port, "").await.unwrap();
    bao.add_intermediate("mesh").await;
    let under_an_intermediate =
        obtain(&bao, bao.port, "issuer = 'mesh'\nintermediate_lifetime = '6h'").await.unwrap();
    assert_eq!(under_the_root.intermediates.len(), 1, "itself");
    assert_eq!(under_an_intermediate.intermediates.len(), 2, "and its issuer");
    assert_eq!(under_an_intermediate.roots, under_the_root.roots);

    bao.seal().await;

    let backends = [("under a root", &under_the_root), ("under an intermediate", &under_an_intermediate)];
    for (name, intermediate) in backends {
        let name = format!("vault's intermediate {name}");
        assert_eq!(conformance::failures(&name, async || backend(intermediate)).await, []);
    }
}

#[tokio::test]
async fn an_intermediate_is_for_leaves_only_and_each_has_a_key_of_its_own() {
    let bao = Bao::start().await;
    let one = obtain(&bao, bao.port, "intermediate_lifetime = '10d'").await.unwrap();
    let other = obtain(&bao, bao.port, "").await.unwrap();

    assert_eq!(one.certificate.path_len(), Some(0));
    assert_ne!(one.certificate.public_key(), other.certificate.public_key());
    let lives = one.certificate.validity().remaining(SystemClock.now());
    assert!(lives <= 10 * DAY && lives > 9 * DAY, "{lives:?}");
}

#[tokio::test]
async fn an_intermediate_for_another_key_is_refused() {
    let bao = Bao::start().await;
    let other = Between::before(bao.port).await;
    obtain(&bao, other.port, "").await.unwrap();
    let sign = other.seen().into_iter().find(|seen| seen.head.contains("sign-intermediate")).unwrap();
    let csr: serde_json::Value = serde_json::from_str(&sign.body).unwrap();
    let signed = bao.write("pki/issuer/default/sign-intermediate", csr).await.to_string();
    other.play(move |seen, _| match seen.head.contains("sign-intermediate") {
        true => Act::answer(200, "", &signed),
        false => Act::Pass,
    });

    let outcome = obtain(&bao, other.port, "").await.map(drop);

    assert!(matches!(outcome, Err(IntermediateError::Differs(_))), "{outcome:?}");
}

#[tokio::test]
async fn whoever_may_not_sign_intermediates_is_told_the_path() {
    let bao = Bao::start().await;
    bao.write(
        "sys/policies/acl/signet",
        json!({"policy": "path \"pki/sign/*\" { capabilities = [\"update\"] }"}),
    )
    .await;

    let outcome = obtain(&bao, bao.port, "").await.map(drop);

    assert!(
        matches!(&outcome, Err(IntermediateError::Vault(VaultError::Denied { path, .. }))
            if path == "pki/issuer/default/sign-intermediate"),
        "{outcome:?}"
    );
}
