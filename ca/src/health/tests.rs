//! What an orchestrator is told when the parts of a CA can no longer do theirs.

use metrics_exporter_prometheus::PrometheusBuilder;
use signet_backends::{Assembler, LocalSigner};
use signet_identity::{CaCertificate, Clock, PrivateKey, SigningKey, TrustBundle, TrustDomain};

use super::*;
use crate::{
    admission::AdmissionLimits,
    audit::testing::LogOnDisk,
    authn::{IssuerConfig, RefreshTimes, Refresher, Source},
    authority::Standing,
    testing::{self, ISSUER, KeyFile, issuer},
};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// An authority with a year to live, a log, and no issuer.
struct Scene {
    log: LogOnDisk,
    observed: Observed,
    readiness: Readiness,
    conditions: Conditions,
}

impl Scene {
    async fn new() -> Self {
        Self::with(Vec::new()).await.0
    }

    /// The same with these issuers, and what loads their keys.
    async fn with(issuers: Vec<IssuerConfig>) -> (Self, Vec<Refresher>) {
        let log = LogOnDisk::new();
        let clock: Arc<dyn Clock> = Arc::clone(&log.clock) as _;
        let trust_domain: TrustDomain = "cluster.local".parse().unwrap();
        let key = PrivateKey::generate().unwrap();
        let root = CaCertificate::self_signed(&key, &trust_domain, clock.now(), YEAR).unwrap();
        let bundle = TrustBundle::new(trust_domain.clone(), vec![root.der().clone()], None).unwrap();
        let issuer = Assembler::new(Arc::new(LocalSigner::new(SigningKey::from(key))), root, Vec::new());
        let audit = log.open();
        let authority = testing::authority(issuer, bundle, audit.clone(), Arc::clone(&clock)).await;
        let metrics = Metrics::new();
        let development = DevelopmentKeys::Accepted;
        let (authentication, refreshers) =
            Authentication::new(issuers, &trust_domain, development, Arc::clone(&clock), metrics.clone());
        let admission = Admission::new(AdmissionLimits { in_flight: 1, queue: 1 });
        let readiness = Readiness::of("ca");
        let conditions = Conditions::new(&readiness, development);
        let (authentication, authority) = (Arc::new(authentication), authority.unwrap());
        let observed = Observed { authentication, authority, audit, admission, metrics, clock };
        (Self { log, observed, readiness, conditions }, refreshers)
    }

    fn page(&mut self) -> String {
        self.conditions.look(&self.observed);
        self.readiness.to_string()
    }
}

#[tokio::test]
async fn an_authority_is_ready_to_its_last_second_and_then_says_why_not() {
    let mut scene = Scene::new().await;
    assert!(scene.page().contains("authority: ready"));

    scene.log.clock.advance(YEAR);
    assert!(scene.page().contains("authority: ready"), "{}", scene.page());

    scene.log.clock.advance(Duration::from_secs(1));
    let page = scene.page();
    assert!(page.starts_with("ca: not ready"), "{page}");
    let authority = page.lines().find(|line| line.starts_with("authority: ")).unwrap();
    assert!(authority.contains("Check this machine's clock; if it is right, restart the CA"), "{page}");
    assert!(authority.ends_with("the signer's certificate has expired"), "the remedy stands once: {page}");
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_said_with_the_remedy() {
    let mut scene = Scene::new().await;
    assert!(scene.page().contains("audit log: ready"));
    scene.log.fill_disk();
    let line = crate::audit::Record::Abandoned { request_id: "r" };
    scene.observed.audit.record(&line).await.unwrap_err();

    assert!(scene.page().contains("Free space"), "{}", scene.page());
}

#[tokio::test]
async fn a_source_of_keys_that_fails_is_told_while_the_keys_that_are_held_serve() {
    let file = KeyFile::of(&issuer());
    let (mut scene, mut refreshers) = Scene::with(vec![IssuerConfig {
        issuer: ISSUER.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
        source: Source::File(file.path()),
        times: RefreshTimes { interval: EVERY, floor: EVERY },
    }])
    .await;
    let refresher = refreshers.first_mut().unwrap();
    let good = "loading of issuer keys: good";
    refresher.load().await.unwrap();
    assert!(scene.page().contains(good), "{}", scene.page());

    file.swap("{");
    let failed = refresher.load().await.unwrap_err();
    let page = scene.page();
    let since = format_rfc3339_seconds(scene.log.clock.now());
    let told = format!("loading of issuer keys: {ISSUER} has failed since {since}: {}", chain(&failed));
    assert!(page.contains(&told) && page.contains("issuer keys: ready"), "{page}");

    file.swap(&issuer().jwks_json());
    refresher.load().await.unwrap();
    assert!(scene.page().contains(good), "{}", scene.page());
}

#[tokio::test]
async fn while_nobody_signs_no_life_is_left() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let none_is_left = || recorder.handle().render().contains("signet_ca_authority_remaining_ratio 0\n");
    let mut scene = Scene::new().await;
    scene.page();
    assert!(!none_is_left());

    let bundle = scene.observed.authority.bundle();
    scene.observed.authority.publish(Standing::new(None, TrustBundle::clone(&bundle)));

    assert!(scene.page().contains("authority: no authority can sign now"), "{}", scene.page());
    assert!(none_is_left());
}
