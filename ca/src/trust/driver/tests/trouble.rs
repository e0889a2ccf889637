//! What cannot be done, or cannot be made durable.

use super::*;
use crate::trust::words::Follows;

/// The state cannot be written from here on.
fn block(scene: &Scene) -> PathBuf {
    let state = scene.state.path().join("state.json");
    fs::rename(&state, scene.state.path().join("aside")).unwrap();
    fs::create_dir(&state).unwrap();
    state
}

#[tokio::test]
async fn a_change_that_is_durable_is_made_though_its_export_fails() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    let export = scene.state.path().join("root-cert.pem");
    fs::remove_file(&export).unwrap();
    fs::create_dir(&export).unwrap();
    scene.clock().advance(SETTINGS.overlap);

    driver.step().unwrap_err();
    assert_eq!((signs(&driver), roots(&driver)), (Some(new.certificate().key_id()), 2));

    fs::remove_dir(&export).unwrap();
    driver.step().unwrap();
    assert_eq!(fs::read_to_string(&export).unwrap(), driver.standing().unwrap().bundle.to_pem());
}

#[tokio::test]
async fn an_authority_that_cannot_sign_takes_nobodys_place() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    drop(driver);

    let mut driver = scene.start().await;
    scene.clock().advance(SETTINGS.overlap + HOUR);
    driver.look().await;
    assert_eq!((signs(&driver), roots(&driver)), (Some(old.certificate().key_id()), 2));
    assert_eq!(scene.kept_keys().len(), 1, "it is still needed");
    assert_eq!(driver.follows(scene.clock().now()), Some(Follows::WhenItCanSign));
    scene.issued(&driver).await.unwrap();

    driver.take(offer(&new)).await.unwrap();
    assert_eq!(signs(&driver), Some(new.certificate().key_id()), "its root has travelled meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_refused_offer_is_tried_again_though_its_source_says_it_once() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    let state = block(&scene);
    driver.hear(Ok(offer(&new))).await;
    assert_eq!(roots(&driver), 1);
    let mut waits = vec![driver.until_next_look().as_secs()];
    for _ in 0..6 {
        driver.look().await;
        waits.push(driver.until_next_look().as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30], "rarely, on a disk that is full");

    fs::remove_dir(&state).unwrap();
    driver.look().await;

    assert_eq!(roots(&driver), 2);
    assert!(driver.readiness.to_string().contains("source of the authority: good"));
    assert_eq!(driver.until_next_look().as_secs(), 30);
}

#[tokio::test]
async fn a_source_that_takes_its_offer_back_is_believed() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;
    let state = block(&scene);
    driver.hear(Ok(offer(&scene.root()))).await;

    driver.hear(Err(SourceFault("ca-key.pem: it is not PEM".to_owned()))).await;
    fs::remove_dir(&state).unwrap();
    driver.look().await;

    assert_eq!(roots(&driver), 1);
}

#[tokio::test]
async fn a_change_that_is_due_and_not_durable_is_tried_again_and_rarely() {
    let scene = Scene::new();
    let (old, new) = (scene.root(), scene.root());
    let mut driver = scene.started_with(&old).await;
    driver.take(offer(&new)).await.unwrap();
    let state = block(&scene);
    scene.clock().advance(SETTINGS.overlap);
    let mut waits = Vec::new();
    for _ in 0..3 {
        driver.look().await;
        waits.push(driver.until_next_look().as_secs());
    }
    assert_eq!((waits, signs(&driver)), (vec![1, 2, 4], Some(old.certificate().key_id())));

    fs::remove_dir(&state).unwrap();
    driver.look().await;
    assert_eq!(signs(&driver), Some(new.certificate().key_id()));
    assert_eq!(driver.until_next_look().as_secs(), 30, "nothing is amiss any more");
}

#[tokio::test]
async fn whoever_is_refused_because_nobody_signs_is_in_the_audit() {
    let scene = Scene::new();
    let mut driver = scene.started_with(&scene.root()).await;
    drop(driver);
    driver = scene.start().await;

    let refused = scene.issued(&driver).await.unwrap_err();

    assert!(matches!(refused, IssueError::NobodySigns { until: None }), "{refused:?}");
    assert_eq!(scene.log.events().last().map(String::as_str), Some("refused"));
}
