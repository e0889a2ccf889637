//! Whatever comes in whatever order: no proxy is sent a leaf before the root that peers need for it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use prost::Message;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use signet_client::{Reachability, testing::Answer};
use signet_identity::verify_link;
use signet_proto::envoy::{
    config::core::v3::{DataSource, data_source::Specifier},
    extensions::transport_sockets::tls::v3::{Secret, secret},
};
use tokio::{task::JoinSet, time::Instant};
use tokio_stream::{StreamExt, wrappers::WatchStream};

use crate::{
    sds::PublishedSecret,
    secret_cache::Lease,
    testing::{HOUR, World},
};

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A proxy asks for a leaf.
    Ask,
    /// A new connection: the roots are asked for.
    Poll,
    Prepare,
    Activate,
    Retire,
    /// The state is lost.
    Remake,
    /// From now on a replica answers that is so many changes behind.
    Replica(usize),
    /// Answers take so long from now on.
    Slow(Duration),
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Ask),
        4 => Just(Step::Poll),
        2 => Just(Step::Prepare),
        2 => Just(Step::Activate),
        2 => Just(Step::Retire),
        2 => Just(Step::Remake),
        3 => (0_usize..4).prop_map(Step::Replica),
        1 => (0_u64..1500).prop_map(|millis| Step::Slow(Duration::from_millis(millis))),
        4 => (0_u64..1200).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        1 => (1_u64..40).prop_map(|minutes| Step::Pass(Duration::from_secs(60 * minutes))),
    ]
}

type Certificates = Vec<CertificateDer<'static>>;
/// What streams were sent, and when.
type Sent = Arc<Mutex<Vec<(Instant, Certificates)>>>;

/// The streams of some proxies, each read by a task of its own.
struct Streams {
    world: World,
    leases: Vec<Lease>,
    roots: Sent,
    leaves: Sent,
    reading: JoinSet<()>,
}

impl Streams {
    fn of(world: World) -> Self {
        let (roots, mut reading) = (Sent::default(), JoinSet::new());
        let (mut told, sent) = (WatchStream::new(world.cache.roots()), Arc::clone(&roots));
        reading.spawn(async move {
            while let Some(roots) = told.next().await {
                if let Some(bundle) = roots.bundle {
                    sent.lock().unwrap().push((Instant::now(), certificates(&bundle)));
                }
            }
        });
        Self { world, leases: Vec::new(), roots, leaves: Sent::default(), reading }
    }

    fn ask(&mut self) {
        let account = format!("w{}", self.leases.len());
        let lease = self.world.lease_of(&account, &self.world.token(&account, 48 * HOUR)).unwrap();
        let (mut states, sent, mut last) = (lease.states(), Arc::clone(&self.leaves), None);
        self.leases.push(lease);
        self.reading.spawn(async move {
            while let Some(state) = states.next().await {
                let Some(secret) = state.secret else { continue };
                if last.replace(secret.version().clone()).as_ref() != Some(secret.version()) {
                    sent.lock().unwrap().push((Instant::now(), certificates(&secret)));
                }
            }
        });
    }
}

/// Of a chain or of a bundle.
fn certificates(secret: &PublishedSecret) -> Certificates {
    let content = match Secret::decode(&*secret.resource("").value).unwrap().r#type.unwrap() {
        secret::Type::TlsCertificate(certificate) => certificate.certificate_chain,
        secret::Type::ValidationContext(context) => context.trusted_ca,
    };
    let Some(DataSource { specifier: Some(Specifier::InlineBytes(pem)) }) = content else { panic!("no PEM") };
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

/// A proxy holds a bundle until it is sent the next. Whoever reads needs no second for that.
fn assert_in_order(roots: &[(Instant, Certificates)], leaves: &[(Instant, Certificates)]) {
    for (sent, leaf) in leaves {
        let last = leaf.last().unwrap();
        let holds = |bundle: &Certificates| bundle.iter().any(|root| verify_link(last, root).is_ok());
        let until = roots.iter().filter(|(at, _)| at <= sent).count();
        // What was sent at the same instant may have been sent after the leaf.
        let before = roots[..until].iter().rposition(|(at, bundle)| at < sent || holds(bundle));
        let newest = before.expect("some bundle comes before any leaf");
        assert!(holds(&roots[newest].1), "its root was not there, or not any more");
        let since =
            roots[..=newest].iter().rposition(|(_, bundle)| !holds(bundle)).map_or(0, |last| last + 1);
        let travelled = *sent - roots[since].0;
        assert!(since == 0 || travelled >= Duration::from_secs(1), "its root had {travelled:?}");
    }
}

async fn play(world: World, steps: Vec<Step>) {
    let (ca, mut streams) = (Arc::clone(&world.ca), Streams::of(world));
    let mut history = vec![ca.standing()];
    for step in steps {
        let now = streams.world.now();
        let mut newest = history.last().unwrap().clone();
        match step {
            Step::Ask if streams.leases.len() < 8 => streams.ask(),
            Step::Ask => {}
            Step::Poll => ca.set_reachability(Reachability::Reachable),
            Step::Prepare => newest.prepare_root(now),
            Step::Activate => newest.activate_root(),
            Step::Retire => newest.retire_old_roots(),
            Step::Remake => newest.remake(now),
            Step::Replica(behind) => {
                let replica = history[history.len().saturating_sub(behind + 1)].clone();
                ca.change(|standing| *standing = replica);
            }
            Step::Slow(time) => ca.always(Answer::Late(time)),
            Step::Pass(time) => streams.world.pass(time).await,
        }
        if matches!(step, Step::Prepare | Step::Activate | Step::Retire | Step::Remake) {
            history.push(newest.clone());
            ca.change(|standing| *standing = newest);
        }
        streams.world.settle().await;
    }
    streams.world.pass(Duration::from_secs(2)).await;
    streams.reading.shutdown().await;
    assert_in_order(&streams.roots.lock().unwrap(), &streams.leaves.lock().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_leaf_is_sent_before_its_root_has_been_everywhere(
        steps in proptest::collection::vec(step(), 1..50),
        counts in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let world = World::new();
            if !counts {
                world.ca.send_no_version();
            }
            play(world, steps).await;
        });
    }
}
