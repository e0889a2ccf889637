//! Trust anchors that come late, change, or break.

use super::*;

#[tokio::test]
async fn anchors_that_are_missing_are_named_and_taken_once_they_appear() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    fs::remove_file(fixture.anchors()).unwrap();
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    becomes(&client, Reachability::Disconnected).await;
    let error = ask(&client).await.unwrap_err();
    let path = fixture.anchors().display().to_string();
    assert!(told(&error).contains(&path) && told(&error).contains("put the CA's root"), "{}", told(&error));

    fixture.write_anchors(&fixture.pki.root_pem());
    becomes(&client, Reachability::Reachable).await;
    is_answered(&client).await;
}

#[tokio::test]
async fn changed_anchors_end_the_connection_that_the_old_ones_vouched_for() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = IstioCa::with_timing(fixture.endpoint(&server), impatient()).unwrap();
    becomes(&client, Reachability::Reachable).await;

    fixture.write_anchors(&Pki::new().root_pem());
    becomes(&client, Reachability::Disconnected).await;
    assert!(told(&ask(&client).await.unwrap_err()).contains("invalid peer certificate"));

    fixture.write_anchors(&(Pki::new().root_pem() + &fixture.pki.root_pem()));
    becomes(&client, Reachability::Reachable).await;
    is_answered(&client).await;
}

#[tokio::test]
async fn anchors_that_turn_unusable_leave_the_connection_as_it_is() {
    let fixture = Fixture::new();
    let server = fixture.server().await;
    let client = fixture.client(&server);
    ask(&client).await.unwrap();
    for content in ["", "half a certif"] {
        fixture.write_anchors(content);
        // The clock goes on beyond the next check, which runs before the answer comes.
        tokio::time::pause();
        tokio::time::advance(5 * quick().pace.anchors_check).await;
        tokio::time::resume();
        ask(&client).await.unwrap();
    }
    assert_eq!(server.seen(|seen| seen.connections), 1);
}
