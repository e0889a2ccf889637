//! A token that still serves, and will soon not.

use super::*;

#[tokio::test]
async fn a_token_is_renewed_by_one_and_nobody_logs_in() {
    let scene = Scene::set(service_token()).await;
    scene.ask().await.unwrap();

    for _ in 0..3 {
        pass(LATE).await;
        let before = scene.renewals();
        let outcomes = join_all((0..50).map(|_| scene.ask())).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(scene.renewals() - before, 1);
    }
    assert_eq!(scene.logins(), 1);
}

#[tokio::test]
async fn a_token_that_cannot_be_stretched_is_replaced_before_it_ends() {
    let short = r#"{"auth":{"client_token":"none","lease_duration":60,"renewable":true}}"#;
    for (token, renewal) in [
        (batch_token(), Act::Pass),
        (service_token(), Act::answer(200, "", short)),
        (service_token(), Act::error(400, "", "lease is not renewable")),
        (service_token(), Act::error(403, "", "permission denied")),
    ] {
        let (told, is_batch) = (format!("{renewal:?}"), token.get("token_type").is_some());
        let scene = Scene::set(token).await;
        scene.ask().await.unwrap();
        scene.vault.play(move |seen, _| match seen.head.contains("renew-self") {
            true => renewal.clone(),
            false => Act::Pass,
        });
        pass(LATE).await;

        scene.ask().await.unwrap();

        assert_eq!(scene.logins(), 1, "a second one, {told}");
        assert_eq!(scene.renewals(), usize::from(!is_batch), "{told}");
    }
}

#[tokio::test]
async fn a_vault_that_is_silent_to_a_renewal_holds_one_up_for_a_moment() {
    let scene = Scene::set(service_token()).await;
    scene.ask().await.unwrap();
    scene.vault.play(|seen, _| match seen.head.contains("renew-self") {
        true => Act::Silence,
        false => Act::Pass,
    });
    pass(LATE).await;
    let began = Instant::now();
    let another = async {
        while scene.renewals() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        timeout(Duration::from_millis(1500), scene.ask()).await.expect("nobody else is held up")
    };

    let (one, another) = tokio::join!(scene.ask(), another);

    assert!(one.is_ok() && another.is_ok(), "{one:?} {another:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    scene.ask().await.unwrap();
    assert_eq!(scene.renewals(), 1, "it is tried again later");
}

#[tokio::test]
async fn a_renewal_that_fails_of_what_may_pass_costs_no_login() {
    let scene = Scene::set(service_token()).await;
    scene.ask().await.unwrap();
    scene.vault.play(|seen, _| match seen.head.contains("renew-self") {
        true => Act::error(501, "", "not now"),
        false => Act::Pass,
    });
    pass(LATE).await;

    for _ in 0..2 {
        scene.ask().await.unwrap();
    }

    assert_eq!((scene.renewals(), scene.logins()), (1, 0));
}

#[tokio::test]
async fn a_token_from_a_file_is_renewed_like_any_other() {
    let bao = Bao::start().await;
    let file = bao.token_file(json!({"ttl": "1h"})).await;
    let vault = Between::before(bao.port).await;
    let auth = format!("auth.method = 'token-file'\nauth.token_file = '{}'", file.display());
    let session = VaultSession::new(client(&[vault.port], &auth), Login::Configured);
    session.log_in(soon()).await.unwrap();
    pass(LATE).await;

    ask(&session, "auth/token/lookup-self", soon()).await.unwrap();

    assert_eq!(vault.count("auth/token/renew-self"), 1);
}

#[tokio::test]
async fn a_token_that_still_serves_is_not_lost_to_a_login_that_fails() {
    for away in [Act::error(400, "", "no"), Act::error(500, "", "no"), Act::Silence] {
        let told = format!("{away:?}");
        let scene = Scene::set(batch_token()).await;
        scene.ask().await.unwrap();
        scene.vault.play(move |seen, _| match seen.head.contains("login") {
            true => away.clone(),
            false => Act::Pass,
        });
        pass(LATE).await;

        let outcomes = join_all((0..50).map(|_| scene.ask())).await;
        assert!(outcomes.iter().all(Result::is_ok), "{told}: {outcomes:?}");
        let tried = scene.logins();
        scene.ask().await.unwrap();
        assert_eq!(scene.logins(), tried, "{told}: not again at once");

        pass(HOUR - LATE).await;
        let end = Instant::now() + Duration::from_millis(300);
        ask(&scene.session, "auth/token/lookup-self", end).await.unwrap_err();
    }
}
