//! What serves while the CA is away, busy or wrong, and who comes first afterwards.

use std::{path::Path, time::Duration};

use metrics_exporter_prometheus::PrometheusBuilder;
use signet_client::{
    Reachability,
    testing::{Answer, FakeCa, Forgery},
};
use signet_runtime::testing::CapturedLog;
use tonic::Code;

use super::MINUTE;
use crate::{
    peer::testing::peer_named,
    secret_cache::Credential,
    testing::{HOUR, UID, World, served},
};

/// All that a CA can do to an agent: what is counted, what proxy and log are told to do, and why.
fn answers() -> [(&'static str, Answer, &'static str, &'static str, &'static str); 9] {
    let useless = "does not verify and is not served; tell the operator of the CA";
    [
        ("a wrong key", Answer::Forge(Forgery::WrongKey), "bad_answer", useless, "for another key"),
        (
            "a wrong SAN",
            Answer::Forge(Forgery::WrongIdentity),
            "bad_answer",
            useless,
            "the certificate is for \"spiffe://td.test/ns/somebody/sa/else\"",
        ),
        ("expired", Answer::Forge(Forgery::Expired), "bad_answer", useless, "has expired"),
        (
            "no intermediate",
            Answer::Forge(Forgery::NoIntermediate),
            "bad_answer",
            useless,
            "does not lead to",
        ),
        ("an unknown root", Answer::Forge(Forgery::UnknownRoot), "bad_answer", useless, "does not lead to"),
        ("silence", Answer::Hang, "unavailable", "asked again by itself", "did not answer within"),
        (
            "UNAVAILABLE",
            Answer::Fail(FakeCa::unavailable()),
            "unavailable",
            "asked again by itself",
            "the signer is away",
        ),
        (
            "RESOURCE_EXHAUSTED",
            Answer::Fail(FakeCa::overloaded(MINUTE)),
            "overloaded",
            "asked again by itself",
            "too many requests",
        ),
        (
            "UNAUTHENTICATED",
            Answer::Fail(FakeCa::refused_token()),
            "refused",
            "needs a fresh token",
            "keys were rotated",
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn whatever_the_ca_answers_the_old_svid_serves_to_its_end_and_proxy_log_and_metric_say_what_is_wrong() {
    for (name, answer, outcome, says, why) in answers() {
        let (log, recorder) = (CapturedLog::begin(), PrometheusBuilder::new().build_recorder());
        let _counting = metrics::set_default_local_recorder(&recorder);
        let world = World::new();
        let token = world.token("web", 24 * HOUR);
        let lease = world.lease(&token).unwrap();
        world.settle().await;
        let first = served(&lease);
        world.ca.always(answer);
        world.pass(HOUR.mul_f64(0.8)).await;
        assert_eq!(served(&lease), first, "{name}");
        let told = lease.now().trouble.unwrap().why().status();
        assert!(told.message().contains(says) && told.message().contains(why), "{name}: {told}");
        let (lines, counted) = (log.text(), recorder.handle().render());
        let tells = |line: &str| line.contains("WARN") && line.contains(says) && line.contains(why);
        assert!(lines.lines().any(tells), "{name}: {lines}");
        assert!(
            counted.contains(&format!("signet_agent_renewals_total{{outcome=\"{outcome}\"}}")),
            "{name}: {counted}"
        );
        world.pass(HOUR.mul_f64(0.22)).await;
        assert_eq!(served(&lease), None, "{name}: it is over and is not served");
        world.ca.always(Answer::Honest);
        world.pass(MINUTE * 2).await;
        assert!(served(&lease).is_some(), "{name}: mended");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_whether_anything_serves_while_there_is_no_new_svid() {
    let (log, world) = (CapturedLog::begin(), World::new());
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    let _lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    let (nothing, something) = ("nothing is held, and the proxy waits", "what is held goes on serving");
    assert!(log.text().contains(nothing) && !log.text().contains(something), "{}", log.text());
    world.ca.always(Answer::Honest);
    world.pass(MINUTE).await;
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    let log = CapturedLog::begin();
    world.pass(HOUR.mul_f64(0.8)).await;
    assert!(log.text().contains(something) && !log.text().contains(nothing), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_verify_is_never_served_to_a_new_workload() {
    for forgery in Forgery::ALL {
        let world = World::before_another_ca();
        world.ca.always(Answer::Forge(forgery));
        let lease = world.lease(&world.token("web", HOUR)).unwrap();
        world.pass(MINUTE).await;
        let state = lease.now();
        assert!(state.secret.is_none(), "{forgery:?}");
        assert!(
            world.cache.roots().borrow().bundle.is_none(),
            "{forgery:?}: its roots are not believed either"
        );
        let trouble = state.trouble.unwrap();
        assert_eq!(trouble.why().status().code(), Code::Unavailable, "{forgery:?}");
        assert!(trouble.hold().is_some(), "{forgery:?}: the proxy is told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absent_ca_is_waited_for_and_its_return_wakes_all() {
    let world = World::new();
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Fail(FakeCa::disconnected()));
    let leases: Vec<_> = (0..50)
        .map(|number| world.lease_of(&number.to_string(), &world.token(&format!("w{number}"), HOUR)).unwrap())
        .collect();
    world.pass(MINUTE).await;
    assert!(leases.iter().all(|lease| lease.now().trouble.is_none_or(|trouble| trouble.hold().is_none())));
    assert!(world.ca.calls().len() < 100, "{} calls into a dead line", world.ca.calls().len());
    world.ca.always(Answer::Honest);
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert!(leases.iter().all(|lease| served(lease).is_some()), "without any more waiting");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_never_reached_the_ca_says_nothing_of_it() {
    let world = World::holding_at_most(1000);
    world.ca.set_reachability(Reachability::Failing);
    world.ca.always(Answer::Fail(FakeCa::disconnected()));
    let without_a_token = |number| {
        let file = Credential::File(Path::new(&format!("/nowhere/{number}")).into());
        world.cache.subscribe(&file, UID, peer_named(&format!("file{number}"))).unwrap()
    };
    let waiting =
        |number| world.lease_of(&format!("pod{number}"), &world.token(&format!("w{number}"), HOUR)).unwrap();
    let _leases: Vec<_> = (0..100).flat_map(|number| [without_a_token(number), waiting(number)]).collect();
    world.pass(MINUTE).await;
    assert!(world.ca.calls().len() < 50, "{} calls into a dead line", world.ca.calls().len());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_unavailable_holds_up_no_other() {
    let world = World::new();
    // The least that a CA gets: one call at a time.
    world.ca.set_reachability(Reachability::Failing);
    world.ca.always(Answer::Fail(FakeCa::unavailable()));
    let _unavailable: Vec<_> = (0..10)
        .map(|number| world.lease_of(&number.to_string(), &world.token(&format!("w{number}"), HOUR)).unwrap())
        .collect();
    world.settle().await;
    assert_eq!(world.ca.calls().len(), 10, "each was asked for, without a pause between");
}

#[tokio::test(start_paused = true)]
async fn an_svid_that_ends_in_an_outage_is_not_served_any_more() {
    let world = World::new();
    let lease = world.lease(&world.token("web", 24 * HOUR)).unwrap();
    world.settle().await;
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Hang);
    world.pass(HOUR + Duration::from_secs(1)).await;
    assert_eq!(served(&lease), None);
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_earliest_expiry_comes_first_and_no_more_than_16_fly() {
    let world = World::new();
    let mut leases = Vec::new();
    for number in 0..40 {
        let token = world.token(&format!("w{number}"), 24 * HOUR);
        leases.push(world.lease_of(&number.to_string(), &token).unwrap());
        world.pass(Duration::from_secs(1)).await;
    }
    world.ca.set_reachability(Reachability::Disconnected);
    world.ca.always(Answer::Fail(FakeCa::disconnected()));
    world.pass(HOUR.mul_f64(0.75)).await;
    let before = world.ca.calls().len();
    world.ca.always(Answer::Late(Duration::from_secs(1)));
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert_eq!(world.ca.calls().len() - before, 16);
    world.pass(Duration::from_secs(3)).await;
    assert!(leases.iter().all(|lease| lease.now().trouble.is_none()), "all are renewed");
    let order: Vec<_> = world.ca.calls().into_iter().skip(before).map(|call| call.identity).collect();
    let by_expiry: Vec<_> = (0..40).map(|number| format!("spiffe://td.test/ns/a/sa/w{number}")).collect();
    assert_eq!(order, by_expiry);
}

#[tokio::test(start_paused = true)]
async fn a_ca_that_is_connected_and_silent_is_found_again_by_a_single_probe() {
    let world = World::new();
    world.ca.set_reachability(Reachability::Failing);
    world.ca.always(Answer::Hang);
    let leases: Vec<_> = (0..20)
        .map(|number| world.lease_of(&number.to_string(), &world.token(&format!("w{number}"), HOUR)).unwrap())
        .collect();
    world.pass(MINUTE).await;
    assert!(world.ca.calls().len() <= 13, "one at a time, 5 s each: {}", world.ca.calls().len());
    world.ca.always(Answer::Honest);
    world.pass(Duration::from_secs(11)).await;
    assert!(world.ca.calls().len() > 1);
    world.ca.set_reachability(Reachability::Reachable);
    world.settle().await;
    assert!(leases.iter().all(|lease| served(lease).is_some()));
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_ca_is_left_alone_as_long_as_it_asks() {
    let world = World::new();
    world.ca.always(Answer::Fail(FakeCa::overloaded(Duration::from_secs(4))));
    let lease = world.lease(&world.token("web", HOUR)).unwrap();
    world.pass(Duration::from_secs(3)).await;
    assert_eq!(world.ca.calls().len(), 1);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.ca.calls().len(), 2);
    assert_eq!(lease.now().trouble.unwrap().hold(), None);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_given_back_and_tried_again() {
    // A CA that may be failing gets one call at a time: one that is never given back were its last.
    for reachability in [Reachability::Reachable, Reachability::Failing] {
        let world = World::new();
        world.ca.set_reachability(reachability);
        world.ca.script(Answer::Panic);
        let lease = world.lease(&world.token("web", HOUR)).unwrap();
        world.settle().await;
        let status = lease.now().trouble.unwrap().why().status();
        assert_eq!(status.code(), Code::Internal, "{reachability:?}: {status}");
        world.pass(MINUTE).await;
        assert!(served(&lease).is_some(), "{reachability:?}: the next attempt");
    }
}
