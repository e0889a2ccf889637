//! What the next start finds, and whose keys it has.

use super::*;

#[tokio::test]
async fn a_restart_in_any_state_goes_on_where_it_was() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    assert_eq!(scene.kept_keys().len(), 1, "the files have the next key by now: the old one is kept");
    drop(driver);

    scene.clock().advance(HOUR);
    let mut driver = scene.start().await;
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 2), "prepared");
    driver.take(offer(&new)).await.unwrap();
    scene.clock().advance(SETTINGS.overlap - HOUR);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()), "the overlap counts from its beginning");
    assert_eq!(scene.kept_keys(), [""; 0].map(PathBuf::from), "the copy is gone when nobody needs it");
    drop(driver);

    let mut driver = scene.start().await;
    assert_eq!((signs(&driver), roots(&driver)), (None, 2), "retiring, and the key is with the operator");
    driver.take(offer(&new)).await.unwrap();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 2));
    scene.clock().advance(SETTINGS.longest_leaf);
    driver.step().unwrap();
    assert_eq!(roots(&driver), 1, "steady");
}

#[tokio::test]
async fn a_restart_without_the_old_key_issues_nothing_until_agents_can_have_the_new_root() {
    let scene = Scene::with(Settings { keep_key: false, ..SETTINGS });
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    assert_eq!(scene.kept_keys(), [""; 0].map(PathBuf::from));
    drop(driver);

    let mut driver = scene.start().await;
    driver.take(offer(&new)).await.unwrap();
    let until = Some(scene.clock().now() + 3 * MINUTE);
    let refused = scene.issued(&driver).await;
    assert!(
        matches!(&refused, Err(IssueError::NobodySigns { until: told }) if *told == until),
        "{refused:?}"
    );
    scene.clock().advance(3 * MINUTE);
    driver.step().unwrap();

    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn a_root_of_the_ca_itself_waits_and_signs_after_restarts_without_being_offered_again() {
    let scene = Scene::with(Settings { keep_key: false, ..SETTINGS });
    let old = scene.root();
    let mut driver = scene.started_with(&old).await;
    let own = driver.local_root(1000 * HOUR).unwrap();
    let key_id = own.certificate.key_id();
    driver.take(own).await.unwrap();
    drop(driver);

    let mut driver = scene.start().await;
    assert_eq!(driver.local_root(1000 * HOUR).unwrap().certificate.key_id(), key_id, "not a third one");
    driver.revive(offer(&old)).await.unwrap();
    assert_eq!(signs(&driver), Some(old.certificate().key_id()));
    scene.clock().advance(SETTINGS.overlap);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(key_id.clone()));
    drop(driver);

    assert_eq!(signs(&scene.start().await), Some(key_id));
}

#[tokio::test]
async fn a_key_is_copied_only_if_nobody_else_has_it_and_only_while_another_waits() {
    let scene = Scene::new();
    let (first, second) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&first).await;
    driver.take(offer(&second)).await.unwrap();
    assert_eq!(scene.kept_keys().len(), 1);
    let own = driver.local_root(1000 * HOUR).unwrap();
    assert_ne!(own.certificate.key_id(), first.certificate().key_id(), "the copy makes it no root of ours");

    driver.take(offer(&first)).await.unwrap();
    assert_eq!(scene.kept_keys().len(), 0, "taken back");

    driver.take(own).await.unwrap();
    scene.clock().advance(SETTINGS.overlap);
    driver.step().unwrap();
    driver.take(offer(&second)).await.unwrap();
    assert_eq!(roots(&driver), 3, "it waits");
    assert_eq!(scene.kept_keys().len(), 0, "the state has the CA's own key anyway");
}

#[tokio::test]
async fn the_authority_of_the_last_run_goes_on_while_another_kind_waits() {
    let scene = Scene::with(Settings { keep_key: false, ..SETTINGS });
    let (old, new) = (scene.root(), scene.root());
    drop(scene.started_with(&old).await);
    let mut driver = scene.start().await;
    assert_eq!(driver.silent_origin(), Some(Origin::Injected));

    driver.revive(offer(&old)).await.unwrap();
    driver.take(Offer { origin: Origin::VaultIntermediate, ..offer(&new) }).await.unwrap();
    assert_eq!((driver.silent_origin(), signs(&driver)), (None, Some(old.certificate().key_id())));
    drop(driver);

    scene.clock().advance(HOUR);
    let mut driver = scene.start().await;
    driver.revive(offer(&old.intermediate(scene.clock().now()))).await.unwrap();
    assert_eq!(roots(&driver), 2, "what waits goes on waiting");
    driver.take(Offer { origin: Origin::VaultIntermediate, ..offer(&new) }).await.unwrap();
    scene.clock().advance(SETTINGS.overlap - HOUR);
    driver.step().unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
}

#[tokio::test]
async fn only_the_authority_of_the_last_run_can_go_on() {
    let scene = Scene::new();
    drop(scene.started_with(&scene.root()).await);
    let mut driver = scene.start().await;

    let refused = driver.revive(offer(&scene.root())).await.unwrap_err();

    assert!(matches!(refused, OfferRefused::Another), "{refused}");
}
