//! Streams over a real cache and renewer, before a CA in memory, on paused time.

use std::time::Duration;

use prost::Message;
use signet_client::{
    CaError, Reachability, Refusal, Token,
    testing::{Answer, BundleAnswer, FakeCa, Forgery},
};
use signet_proto::{
    envoy::{
        extensions::transport_sockets::tls::v3::Secret,
        service::discovery::v3::{DiscoveryRequest, DiscoveryResponse},
    },
    google::rpc,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;

use super::*;
use crate::{
    peer::testing::peer_named,
    sds::{
        peers::{Peers, StreamLimits},
        protocol::StateOfTheWorld,
    },
    secret_cache::{Credential, VERDICT_COUNTS_FOR},
    testing::{HOUR, UID, World},
};

const MINUTE: Duration = Duration::from_secs(60);

type Requests = UnboundedReceiverStream<Result<DiscoveryRequest, Status>>;

/// A proxy with one stream.
struct Proxy {
    requests: mpsc::UnboundedSender<Result<DiscoveryRequest, Status>>,
    stream: SecretStream<StateOfTheWorld, Requests>,
    names: Vec<String>,
}

impl Proxy {
    fn asking(world: &World, names: &[&str], token: Option<&Token>) -> Self {
        let asker =
            Asker { uid: UID, peer: peer_named("pod"), credential: token.cloned().map(Credential::Stream) };
        let seat = Peers::new(StreamLimits::default()).admit(&asker.peer).unwrap();
        let (requests, inbound) = mpsc::unbounded_channel();
        let stream = SecretStream::new(inbound.into(), asker, world.cache.clone(), seat);
        let proxy = Self { requests, stream, names: names.iter().map(|&name| name.to_owned()).collect() };
        proxy.send(DiscoveryRequest::default());
        proxy
    }

    fn send(&self, request: DiscoveryRequest) {
        let request = DiscoveryRequest { resource_names: self.names.clone(), ..request };
        self.requests.send(Ok(request)).unwrap();
    }

    fn ack(&self, response: &DiscoveryResponse) {
        self.send(DiscoveryRequest { response_nonce: response.nonce.clone(), ..Default::default() });
    }

    fn nack(&self, response: &DiscoveryResponse) {
        self.send(DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: Some(rpc::Status { message: "no".to_owned(), ..Default::default() }),
            ..Default::default()
        });
    }

    /// The response, which is here at once.
    async fn response(&mut self) -> DiscoveryResponse {
        timeout(Duration::from_millis(1), self.stream.next()).await.unwrap().unwrap().unwrap()
    }

    /// Nothing at all happens for a while. Paused time passes only while everything is idle, so this also
    /// proves that nothing spins.
    async fn stays_silent_for(&mut self, time: Duration) {
        let next = timeout(time, self.stream.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    /// The status that ends the stream.
    async fn refusal(&mut self) -> Status {
        let status = timeout(MINUTE, self.stream.next()).await.unwrap().unwrap().unwrap_err();
        assert!(self.stream.next().await.is_none(), "nothing follows the end");
        status
    }
}

fn names(response: &DiscoveryResponse) -> Vec<String> {
    response.resources.iter().map(|any| Secret::decode(&*any.value).unwrap().name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_proxys_two_streams_cost_one_call() {
    let world = World::new();
    let token = world.token("web", HOUR);
    let [mut svid, mut roots] =
        ["default", "ROOTCA"].map(|name| Proxy::asking(&world, &[name], Some(&token)));
    let (svid, roots) = tokio::join!(svid.response(), roots.response());
    assert_eq!((names(&svid), names(&roots)), (vec!["default".to_owned()], vec!["ROOTCA".to_owned()]));
    assert_eq!(world.ca.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn known_roots_cost_no_call_and_need_no_token() {
    let world = World::before_another_ca();
    Proxy::asking(&world, &["ROOTCA"], Some(&world.token("web", HOUR))).response().await;
    world.settle().await;
    let before = world.cache.len();
    let mut roots = Proxy::asking(&world, &["td.test", "spiffe://td.test"], None);
    assert_eq!(names(&roots.response().await), ["td.test", "spiffe://td.test"]);
    Proxy::asking(&world, &["ROOTCA"], Some(&world.token("other", HOUR))).response().await;
    assert_eq!((world.ca.calls().len(), world.cache.len()), (1, before));
}

#[tokio::test(start_paused = true)]
async fn roots_alone_cost_no_certificate_and_need_no_token_that_is_any_good() {
    let world = World::new();
    let forged = world.forged_token("web");
    for token in [None, Some(&forged), Some(&world.token("web", HOUR))] {
        let mut proxy = Proxy::asking(&world, &["ROOTCA"], token);
        let first = proxy.response().await;
        world.ca.rotate_root();
        let second = timeout(MINUTE.mul_f64(1.1), proxy.stream.next()).await.unwrap().unwrap().unwrap();
        assert_ne!(first.version_info, second.version_info, "a new root is heard of within a minute");
    }
    assert_eq!((world.ca.calls().len(), world.cache.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn roots_come_with_an_svid_only_from_a_ca_that_is_there_and_does_not_tell_them() {
    let denied = CaError::Denied(Refusal {
        code: Code::PermissionDenied,
        message: "somebody between us".to_owned(),
        request_id: None,
        retry_after: None,
    });
    for (name, answer, asks_for_svid) in [
        ("not offered", BundleAnswer::NotOffered, true),
        ("denied", BundleAnswer::Fail(denied), true),
        ("answered without roots", BundleAnswer::Fail(FakeCa::unavailable()), true),
        ("a bug of ours", BundleAnswer::Panic, true),
        ("silence", BundleAnswer::Hang, false),
        ("no connection", BundleAnswer::Fail(FakeCa::disconnected()), false),
        ("overloaded", BundleAnswer::Fail(FakeCa::overloaded(MINUTE)), false),
    ] {
        let world = World::new();
        world.ca.tell_bundle(answer);
        let mut proxy = Proxy::asking(&world, &["ROOTCA"], Some(&world.token("web", HOUR)));
        if asks_for_svid {
            proxy.response().await;
        } else {
            proxy.stays_silent_for(MINUTE).await;
            world.ca.tell_bundle(BundleAnswer::Told);
            // The question that is under way has five seconds, and so has the pause after it.
            timeout(Duration::from_secs(11), proxy.stream.next()).await.unwrap().unwrap().unwrap();
        }
        assert_eq!(world.ca.calls().len(), usize::from(asks_for_svid), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_roots_is_never_closed_for_its_token() {
    let world = World::before_another_ca();
    let mut garbage = Proxy::asking(&world, &["ROOTCA"], Some(&world.forged_token("web")));
    let mut nothing = Proxy::asking(&world, &["ROOTCA"], None);
    garbage.stays_silent_for(MINUTE).await;
    nothing.stays_silent_for(MINUTE).await;
    Proxy::asking(&world, &["default"], Some(&world.token("web", MINUTE))).response().await;
    garbage.response().await;
    nothing.response().await;
    garbage.stays_silent_for(HOUR * 2).await;
}

#[tokio::test(start_paused = true)]
async fn roots_are_served_as_soon_as_the_refusal_of_their_streams_token_no_longer_stands() {
    let world = World::before_another_ca();
    world.ca.always(Answer::Fail(FakeCa::refused_token()));
    let token = world.token("web", HOUR);
    Proxy::asking(&world, &["default"], Some(&token)).refusal().await;
    let mut roots = Proxy::asking(&world, &["ROOTCA"], Some(&token));
    world.ca.always(Answer::Honest);
    let hold = Duration::from_secs(1);
    roots.stays_silent_for(VERDICT_COUNTS_FOR - hold - Duration::from_millis(10)).await;
    assert_eq!(world.ca.calls().len(), 1, "the refused token was not shown again");
    world.pass(Duration::from_millis(20)).await;
    assert_eq!(names(&roots.response().await), ["ROOTCA"]);
    assert_eq!(world.ca.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn roots_are_served_within_a_second_of_a_place_in_a_full_cache() {
    let world = World::holding_at_most(1);
    world.ca.tell_bundle(BundleAnswer::NotOffered);
    world.ca.always(Answer::Hang);
    let full = Proxy::asking(&world, &["default"], Some(&world.token("first", HOUR)));
    let (mut full, mut roots) = (full, Proxy::asking(&world, &["ROOTCA"], Some(&world.token("web", HOUR))));
    full.stays_silent_for(Duration::from_millis(1)).await;
    roots.stays_silent_for(MINUTE).await;
    world.ca.always(Answer::Honest);
    drop(full);
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(names(&roots.response().await), ["ROOTCA"]);
}

#[tokio::test(start_paused = true)]
async fn a_renewed_svid_is_pushed_once() {
    let world = World::new();
    let mut proxy = Proxy::asking(&world, &["default"], Some(&world.token("web", 24 * HOUR)));
    let first = proxy.response().await;
    proxy.ack(&first);
    proxy.stays_silent_for(HOUR.mul_f64(0.39)).await;
    let second = timeout(HOUR.mul_f64(0.32), proxy.stream.next()).await.unwrap().unwrap().unwrap();
    assert_ne!(first.version_info, second.version_info);
    proxy.ack(&second);
    proxy.stays_silent_for(HOUR.mul_f64(0.3)).await;
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_rejections_is_not_answered_and_burns_nothing() {
    let world = World::new();
    let mut proxy = Proxy::asking(&world, &["default"], Some(&world.token("web", HOUR)));
    let response = proxy.response().await;
    for _ in 0..10_000 {
        proxy.nack(&response);
    }
    proxy.stays_silent_for(HOUR / 4).await;
    assert_eq!(world.ca.calls().len(), 1);
    proxy.names.push("ROOTCA".to_owned());
    proxy.nack(&response);
    assert_eq!(names(&proxy.response().await), ["default", "ROOTCA"], "the storm was read to its end");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stops_gets_the_newest_when_it_reads_again_and_holds_up_nobody() {
    let world = World::new();
    let token = world.token("web", 24 * HOUR);
    let [mut slow, mut quick] = [0, 1].map(|_| Proxy::asking(&world, &["default"], Some(&token)));
    let first = slow.response().await;
    quick.response().await;
    let mut newest = String::new();
    for _ in 0..5 {
        newest = timeout(HOUR, quick.stream.next()).await.unwrap().unwrap().unwrap().version_info;
    }
    slow.ack(&first);
    assert_eq!(slow.response().await.version_info, newest);
    slow.stays_silent_for(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_name_of_another_workload_is_denied_and_ones_own_is_not() {
    let world = World::new();
    let token = world.token("web", HOUR);
    let own = "spiffe://td.test/ns/a/sa/web";
    assert_eq!(names(&Proxy::asking(&world, &[own], Some(&token)).response().await), [own]);
    let mut thief = Proxy::asking(&world, &["spiffe://td.test/ns/a/sa/victim"], Some(&token));
    let denied = thief.refusal().await;
    assert_eq!(denied.code(), Code::PermissionDenied);
    assert!(denied.message().contains(own), "{denied}");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nobody_has_is_refused_at_once() {
    let world = World::new();
    let refused = Proxy::asking(&world, &["nope"], Some(&world.token("web", HOUR))).refusal().await;
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("`default`, `ROOTCA`"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_held_and_then_told_what_to_do() {
    for (name, token, hold, says) in [
        ("forged", Some("forged"), 1, "needs a fresh token"),
        ("none", None, 4, "configure the proxy to send one"),
        ("no JWT", Some("garbage"), 1, "is no JWT"),
    ] {
        let world = World::new();
        let token = token.map(|kind| match kind {
            "forged" => world.forged_token("web"),
            text => Token::new(text).unwrap(),
        });
        let mut proxy = Proxy::asking(&world, &["default"], token.as_ref());
        proxy.stays_silent_for(Duration::from_secs(hold) - Duration::from_millis(10)).await;
        let refused = proxy.refusal().await;
        assert_eq!(refused.code(), Code::Unauthenticated, "{name}");
        assert!(refused.message().contains(says), "{name}: {refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_useless_answer_is_told_to_the_proxy_unless_it_is_mended_first() {
    let world = World::new();
    world.ca.always(Answer::Forge(Forgery::UnknownRoot));
    let mut told = Proxy::asking(&world, &["default"], Some(&world.token("told", HOUR)));
    let status = told.refusal().await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("does not verify and is not served"), "{status}");

    let mut mended = Proxy::asking(&world, &["default"], Some(&world.token("mended", HOUR)));
    mended.stays_silent_for(Duration::from_millis(50)).await;
    world.ca.always(Answer::Honest);
    assert!(timeout(MINUTE, mended.stream.next()).await.unwrap().unwrap().is_ok(), "within its hold");
    mended.stays_silent_for(MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_for_an_absent_ca_and_is_answered_on_its_return() {
    let world = World::new();
    world.ca.always(Answer::Fail(FakeCa::disconnected()));
    world.ca.set_reachability(Reachability::Disconnected);
    let mut proxy = Proxy::asking(&world, &["default", "ROOTCA"], Some(&world.token("web", HOUR)));
    proxy.stays_silent_for(HOUR / 2).await;
    world.ca.always(Answer::Honest);
    world.ca.set_reachability(Reachability::Reachable);
    assert_eq!(names(&proxy.response().await), ["default", "ROOTCA"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_token_is_over_is_closed_well_at_renewal_and_that_of_roots_is_not() {
    let world = World::new();
    let token = world.token("web", MINUTE);
    let [mut svid, mut roots] =
        ["default", "ROOTCA"].map(|name| Proxy::asking(&world, &[name], Some(&token)));
    svid.response().await;
    roots.response().await;
    svid.stays_silent_for(HOUR.mul_f64(0.39)).await;
    let end = timeout(HOUR.mul_f64(0.32), svid.stream.next()).await.unwrap();
    assert!(end.is_none(), "status OK: {end:?}");
    roots.stays_silent_for(HOUR).await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_comes_back_with_a_fresh_token_is_served_at_once() {
    let world = World::new();
    let mut before = Proxy::asking(&world, &["default"], Some(&world.token("web", MINUTE)));
    let first = before.response().await;
    while timeout(HOUR, before.stream.next()).await.unwrap().is_some() {}
    drop(before);
    let mut after = Proxy::asking(&world, &["default"], Some(&world.token("web", MINUTE)));
    assert_ne!(after.response().await.version_info, first.version_info);
    world.settle().await;
    assert_eq!(world.cache.len(), 1, "the old key is gone");
}

#[tokio::test(start_paused = true)]
async fn whoever_unsubscribes_has_no_interest_any_more() {
    let world = World::new();
    let mut proxy = Proxy::asking(&world, &["default"], Some(&world.token("web", 24 * HOUR)));
    let response = proxy.response().await;
    proxy.names.clear();
    proxy.ack(&response);
    proxy.stays_silent_for(2 * HOUR).await;
    assert_eq!(world.ca.calls().len(), 1, "nothing was renewed for it");
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_up_ends_the_stream() {
    let world = World::new();
    let mut proxy = Proxy::asking(&world, &["default"], Some(&world.token("web", HOUR)));
    proxy.response().await;
    let (nobody, _) = mpsc::unbounded_channel();
    proxy.requests = nobody;
    assert!(proxy.stream.next().await.is_none());
}
