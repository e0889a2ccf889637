//! One login for all, kept alive, replaced when it is dead, and given back.

mod prolonging;

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use rustify::enums::RequestMethod;
use serde_json::{Value, json};
use tokio::time::{Instant, advance, pause, resume, timeout};
use zeroize::Zeroizing;

use super::{
    bao::Bao,
    between::{Act, Between},
    client, soon,
};
use crate::vault::{Login, VaultError, VaultSession, describe_metrics, request::Request};

const HOUR: Duration = Duration::from_secs(3600);

/// Later than any token is renewed, and before it ends.
const LATE: Duration = Duration::from_secs(3600 * 78 / 100);

/// Until one that took the place of a denied token is itself replaced when it is denied something.
const NOT_JUST_NOW: Duration = Duration::from_secs(11);

struct Scene {
    session: VaultSession,
    vault: Between,
    bao: Bao,
}

impl Scene {
    /// A session by AppRole, whose tokens are such.
    async fn set(token: Value) -> Self {
        let bao = Bao::start().await;
        let auth = bao.accept_approle(token).await;
        let vault = Between::before(bao.port).await;
        let session = VaultSession::new(client(&[vault.port], &auth), Login::Configured);
        Self { session, vault, bao }
    }

    /// What any token may ask.
    async fn ask(&self) -> Result<Value, VaultError> {
        ask(&self.session, "auth/token/lookup-self", soon()).await
    }

    /// With the last request.
    fn token_shown(&self) -> String {
        let head = self.vault.seen().pop().unwrap().head;
        head.split("x-vault-token: ").nth(1).unwrap().lines().next().unwrap().to_owned()
    }

    async fn lives(&self, token: &str) -> bool {
        let path = "auth/token/lookup-self".to_owned();
        let request = Request { method: RequestMethod::GET, path, body: Zeroizing::default() };
        self.session.client().ask::<Value>(&request, Some(token), soon()).await.is_ok()
    }

    fn logins(&self) -> usize {
        self.vault.count("auth/approle/login")
    }

    fn renewals(&self) -> usize {
        self.vault.count("auth/token/renew-self")
    }
}

async fn ask(session: &VaultSession, path: &str, deadline: Instant) -> Result<Value, VaultError> {
    let path = path.to_owned();
    let request = Request { method: RequestMethod::GET, path, body: Zeroizing::default() };
    Ok(session.ask::<Value>(&request, deadline).await?.data.unwrap_or_default())
}

/// Time passes for us. Vault has a clock of its own.
async fn pass(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

fn service_token() -> Value {
    json!({"token_ttl": "1h", "token_max_ttl": "4h"})
}

fn batch_token() -> Value {
    json!({"token_ttl": "1h", "token_type": "batch"})
}

#[tokio::test]
async fn all_who_come_at_once_share_one_login() {
    let scene = Scene::set(service_token()).await;

    let outcomes = join_all((0..300).map(|_| scene.ask())).await;

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(scene.logins(), 1);
}

#[tokio::test]
async fn a_login_that_fails_fails_for_all_and_is_tried_again_a_little_later() {
    let scene = Scene::set(service_token()).await;
    scene.vault.play(|seen, _| match seen.head.contains("login") {
        true => Act::error(400, "", "invalid role or secret ID"),
        false => Act::Pass,
    });

    for _ in 0..2 {
        for outcome in join_all((0..100).map(|_| scene.ask())).await {
            let told = signet_runtime::telemetry::chain(&outcome.unwrap_err()).to_string();
            assert!(told.contains("invalid role or secret ID"), "{told}");
        }
        assert_eq!(scene.logins(), 1);
    }

    pass(Duration::from_secs(1)).await;
    scene.vault.play(|_, _| Act::Pass);
    scene.ask().await.unwrap();
}

#[tokio::test]
async fn a_login_that_goes_on_failing_is_tried_less_and_less_often_until_it_succeeds() {
    let vault = Between::alone(|_, _| Act::error(400, "", "no")).await;
    let held = Login::Jwt(Zeroizing::new("a.b.c".to_owned()));
    let session = VaultSession::new(client(&[vault.port], "auth.method = 'jwt'"), held);
    for (logins, least) in [250, 500, 1000, 2000, 4000, 5000, 5000, 5000].into_iter().enumerate() {
        session.log_in(soon()).await.unwrap_err();
        assert_eq!(vault.seen().len(), logins + 1);
        pass(Duration::from_millis(least / 2)).await;
        session.log_in(soon()).await.unwrap_err();
        assert_eq!(vault.seen().len(), logins + 1, "it is told what the last one failed of");
        pass(Duration::from_millis(least * 3 / 2)).await;
    }

    vault.play(|_, before| match before {
        0 => Act::answer(200, "", r#"{"auth":{"client_token":"t","lease_duration":60,"renewable":false}}"#),
        _ => Act::error(400, "", "no"),
    });
    session.log_in(soon()).await.unwrap();
    pass(Duration::from_secs(60)).await;
    session.log_in(soon()).await.unwrap_err();
    pass(Duration::from_millis(500)).await;
    session.log_in(soon()).await.unwrap_err();
    assert_eq!(vault.seen().len(), 3, "a success makes good for all failures before it");
}

#[tokio::test]
async fn a_revoked_token_is_replaced_by_one_login_and_nobody_notices() {
    let scene = Scene::set(service_token()).await;
    scene.ask().await.unwrap();
    scene.bao.write("sys/leases/revoke-prefix/auth/approle", json!({})).await;

    let outcomes = join_all((0..50).map(|_| scene.ask())).await;

    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(scene.logins(), 2);
}

#[tokio::test]
async fn what_a_policy_denies_is_told_and_costs_a_login_now_and_then() {
    let scene = Scene::set(service_token()).await;
    for (age, logins) in [(Duration::ZERO, 2), (Duration::ZERO, 2), (NOT_JUST_NOW, 3), (Duration::ZERO, 3)] {
        pass(age).await;
        let outcome = ask(&scene.session, "sys/mounts", soon()).await;
        assert!(
            matches!(&outcome, Err(VaultError::Denied { path, .. }) if path == "sys/mounts"),
            "{outcome:?}"
        );
        assert_eq!(scene.logins(), logins);
    }
}

#[tokio::test]
async fn what_is_denied_one_path_costs_the_others_no_token() {
    for away in [Act::error(400, "", "invalid secret id"), Act::error(500, "", "no"), Act::Silence] {
        let told = format!("{away:?}");
        let scene = Scene::set(service_token()).await;
        scene.ask().await.unwrap();
        scene.vault.play(move |seen, _| match seen.head.contains("login") {
            true => away.clone(),
            false => Act::Pass,
        });

        let denied = ask(&scene.session, "sys/mounts", Instant::now() + Duration::from_secs(2)).await;

        assert!(denied.is_err() && scene.logins() > 0, "{told}: {denied:?}");
        let end = Instant::now() + Duration::from_secs(2);
        ask(&scene.session, "auth/token/lookup-self", end).await.unwrap();
        assert_eq!(scene.vault.count("revoke-self"), 0, "{told}");
    }
}

#[tokio::test]
async fn a_denied_token_that_was_replaced_is_given_back() {
    for (token, given_back) in [(service_token(), 1), (batch_token(), 0)] {
        let scene = Scene::set(token).await;
        scene.ask().await.unwrap();
        let first = scene.token_shown();

        ask(&scene.session, "sys/mounts", soon()).await.unwrap_err();

        assert_eq!(scene.vault.count("revoke-self"), given_back);
        assert_eq!(scene.lives(&first).await, given_back == 0);
        scene.ask().await.unwrap();
        assert_eq!(scene.logins(), 2);
    }
}

#[tokio::test]
async fn a_token_out_of_a_file_is_given_back_by_nobody() {
    let bao = Bao::start().await;
    let file = bao.token_file(json!({"policies": ["default"], "ttl": "1h"})).await;
    let auth = format!("auth.method = 'token-file'\nauth.token_file = '{}'", file.display());
    let vault = Between::before(bao.port).await;
    let session = VaultSession::new(client(&[vault.port], &auth), Login::Configured);

    ask(&session, "sys/mounts", soon()).await.unwrap_err();
    session.close(soon()).await.unwrap();

    assert_eq!(vault.count("revoke-self"), 0);
}

#[tokio::test]
async fn nobody_waits_for_anothers_login_longer_than_there_is_time() {
    let scene = Scene::set(service_token()).await;
    scene.vault.play(|_, _| Act::Silence);
    let patient = scene.ask();
    let began = Instant::now();
    let hurried = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ask(&scene.session, "auth/token/lookup-self", began + Duration::from_millis(300)).await
    };

    tokio::select! {
        biased;
        _ = patient => panic!("it has all the time"),
        outcome = hurried => assert!(matches!(outcome, Err(VaultError::NoTime)), "{outcome:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn whoever_has_no_time_for_a_login_spoils_it_for_nobody() {
    let scene = Scene::set(service_token()).await;
    scene.vault.play(|_, before| if before == 0 { Act::Silence } else { Act::Pass });
    let hurry = Instant::now() + Duration::from_millis(200);
    let hurried = ask(&scene.session, "auth/token/lookup-self", hurry).await;
    assert!(matches!(hurried, Err(VaultError::TimedOut { .. })), "{hurried:?}");

    scene.ask().await.unwrap();
}

#[tokio::test]
async fn a_login_whose_caller_goes_away_is_begun_anew_by_the_next() {
    let scene = Scene::set(service_token()).await;
    scene.vault.play(|_, before| if before == 0 { Act::Silence } else { Act::Pass });
    assert!(timeout(Duration::from_millis(200), scene.ask()).await.is_err());

    scene.ask().await.unwrap();
}

#[tokio::test]
async fn a_session_is_not_closed_before_a_login_that_is_under_way_has_ended() {
    let scene = Scene::set(service_token()).await;
    scene.vault.play(|_, _| Act::Silence);
    let closed = async {
        while scene.logins() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scene.session.close(Instant::now() + Duration::from_millis(200)).await
    };

    tokio::select! {
        biased;
        _ = scene.ask() => panic!("it has all the time"),
        outcome = closed => assert!(matches!(outcome, Err(VaultError::NoTime)), "{outcome:?}"),
    }
}

#[tokio::test]
async fn a_session_that_is_closed_leaves_no_token_behind() {
    for token in [service_token(), batch_token()] {
        let is_batch = token.get("token_type").is_some();
        let scene = Scene::set(token).await;
        scene.ask().await.unwrap();
        let token = scene.token_shown();

        scene.session.close(soon()).await.unwrap();

        // One of a batch cannot be revoked, and is not asked for.
        assert_eq!(scene.lives(&token).await, is_batch);
        scene.session.close(soon()).await.unwrap();
        assert_eq!(scene.vault.count("revoke-self"), usize::from(!is_batch));
    }
}

#[tokio::test]
async fn a_token_that_vault_lets_nobody_give_back_is_told_to_be_left() {
    let scene = Scene::set(json!({"token_ttl": "1h", "token_no_default_policy": true})).await;
    scene.session.log_in(soon()).await.unwrap();

    let outcome = scene.session.close(soon()).await;

    assert!(
        matches!(&outcome, Err(VaultError::Denied { path, .. }) if path == "auth/token/revoke-self"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn each_metric_of_a_session_is_explained() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    describe_metrics("t");
    let scene = Scene::set(service_token()).await;
    scene.ask().await.unwrap();
    pass(LATE).await;
    scene.ask().await.unwrap();
    assert_eq!(scene.renewals(), 1);

    let text = recorder.handle().render();
    let named = |kind: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind)?.split_whitespace().next());
        lines.map(str::to_owned).collect()
    };
    assert_eq!(named("# HELP"), named("# TYPE"));
    assert_eq!(named("# TYPE").len(), 6, "{text}");
}
