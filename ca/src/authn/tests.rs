//! Whom a token makes the caller, and for how long that is remembered.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signet_identity::{ManualClock, jwt::DevelopmentIssuer};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;

use super::*;
use crate::testing::{HttpServer, ISSUER, KeyFile, issuer, issuer_named, token, web};

const OTHER: &str = "https://other.example";

/// Authentication by issuers whose keys are in files, at a time that the test moves.
struct House {
    authentication: Authentication,
    refreshers: Vec<Refresher>,
    clock: Arc<ManualClock>,
}

impl House {
    /// With the keys in these files, loaded.
    async fn of(issuers: &[(&str, &KeyFile)]) -> Self {
        let mut house = Self::with(issuers.iter().map(|(issuer, file)| config(issuer, file)).collect());
        house.load().await;
        house
    }

    fn with(configs: Vec<IssuerConfig>) -> Self {
        let clock = Arc::new(ManualClock::at(start()));
        let (authentication, refreshers) = Authentication::new(
            configs,
            &"cluster.local".parse().unwrap(),
            DevelopmentKeys::Accepted,
            clock.clone(),
            Metrics::new(),
        );
        Self { authentication, refreshers, clock }
    }

    async fn load(&mut self) {
        for refresher in &mut self.refreshers {
            let _kept = refresher.load().await;
        }
    }

    async fn ask(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        let metadata = metadata(token, None);
        self.authentication.authenticate(Credentials::from_metadata(&metadata).unwrap()).await
    }

    fn remembers(&self, token: &str, cluster: Option<&str>) -> bool {
        let metadata = metadata(token, cluster);
        let digest = Credentials::from_metadata(&metadata).unwrap().digest();
        self.authentication.verified.get(&digest, self.clock.now()).is_some()
    }
}

fn config(issuer: &str, file: &KeyFile) -> IssuerConfig {
    IssuerConfig {
        issuer: issuer.to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        leeway: Duration::ZERO,
        source: Source::File(file.path()),
        times: RefreshTimes { interval: Duration::from_secs(300), floor: Duration::from_secs(10) },
    }
}

fn metadata(token: &str, cluster: Option<&str>) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {token}").parse().unwrap());
    if let Some(cluster) = cluster {
        metadata.insert("clusterid", cluster.parse().unwrap());
    }
    metadata
}

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn minted(issuer: &DevelopmentIssuer, lifetime: Duration) -> String {
    issuer.mint(&signet_identity::jwt::TokenRequest { lifetime, ..web() }, start()).unwrap()
}

#[tokio::test]
async fn a_token_makes_its_service_account_the_caller() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;

    let caller = house.ask(&token(&issuer, start())).await.unwrap();

    assert_eq!(caller.identity().as_str(), "spiffe://cluster.local/ns/default/sa/web");
}

#[tokio::test]
async fn each_issuer_judges_its_own_tokens_and_no_others() {
    let (first, second) = (issuer(), issuer_named(OTHER));
    let files = (KeyFile::of(&first), KeyFile::of(&second));
    let house = House::of(&[(ISSUER, &files.0), (OTHER, &files.1)]).await;
    assert!(house.ask(&token(&first, start())).await.is_ok());
    assert!(house.ask(&token(&second, start())).await.is_ok());

    let refused = house.ask(&token(&issuer_named(OTHER), start())).await.unwrap_err();

    assert!(matches!(&refused, AuthnError::Refused { issuer, .. } if issuer == OTHER), "{refused:?}");
}

#[tokio::test]
async fn a_token_that_nobody_can_judge_is_refused() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;
    let nobody = House::of(&[]).await;
    let foreign = token(&issuer_named(OTHER), start());

    let unknown = format!("the token is of the issuer \"{OTHER}\", which no `[[issuer]]`");
    for (case, refused, says) in [
        ("another issuer", house.ask(&foreign).await, &*unknown),
        ("no issuer configured", nobody.ask(&foreign).await, &unknown),
        ("no `iss`", house.ask("eyJhbGciOiJFUzI1NiJ9.e30.c2ln").await, "names no issuer (`iss`)"),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, AuthnError::UnknownIssuer { .. }), "{case}: {refused:?}");
        assert!(refused.to_string().contains(says), "{case}: {refused}");
    }
    for garbage in ["", "x", "a.b.c", "a.b", "....", &"x".repeat(8000)] {
        let refused = house.ask(garbage).await;
        assert!(matches!(refused, Err(AuthnError::Unreadable(_))), "{garbage:?}: {refused:?}");
    }
}

#[tokio::test]
async fn without_keys_a_token_cannot_be_judged() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    file.swap("broken");
    let house = House::of(&[(ISSUER, &file)]).await;

    let unavailable = house.ask(&token(&issuer, start())).await.unwrap_err();

    assert!(matches!(unavailable, AuthnError::Unavailable { .. }), "{unavailable}");
    let (name, reason) = house.authentication.issuers_without_keys().next().unwrap();
    assert_eq!(name, ISSUER);
    assert!(reason.contains("jwks.json"), "{reason}");
}

#[tokio::test]
async fn a_token_under_a_key_that_the_source_does_not_have_is_refused() {
    let file = KeyFile::of(&issuer());
    let house = House::of(&[(ISSUER, &file)]).await;

    let refused = house.ask(&token(&issuer(), start())).await.unwrap_err();

    assert!(matches!(refused, AuthnError::Refused { .. }), "the keys were loaded just now: {refused}");
}

#[tokio::test]
async fn a_storm_of_tokens_under_unknown_keys_causes_one_fetch() {
    let server = HttpServer::start(&issuer().jwks_json()).await;
    let url = server.base.parse().unwrap();
    let source = Source::Url { url, fetcher: Fetcher::default() };
    let house = House::with(vec![IssuerConfig { source, ..config(ISSUER, &KeyFile::of(&issuer())) }]);
    let stop = CancellationToken::new();
    let mut refreshing = JoinSet::new();
    house.refreshers.into_iter().for_each(|refresher| drop(refreshing.spawn(refresher.run(stop.clone()))));

    for _ in 0..100 {
        let token = token(&issuer(), start());
        let metadata = metadata(&token, None);
        let refused = house.authentication.authenticate(Credentials::from_metadata(&metadata).unwrap()).await;
        assert!(matches!(refused, Err(AuthnError::Refused { .. })), "{refused:?}");
    }

    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_proven_token_is_remembered_for_its_cluster_only() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;
    let token = token(&issuer, start());

    house.ask(&token).await.unwrap();

    assert!(house.remembers(&token, None));
    assert!(!house.remembers(&token, Some("east")));
}

#[tokio::test]
async fn a_remembered_token_is_forgotten_after_five_minutes() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;
    let token = token(&issuer, start());
    house.ask(&token).await.unwrap();

    house.clock.advance(Duration::from_secs(299));
    assert!(house.remembers(&token, None));
    house.clock.advance(Duration::from_secs(1));
    assert!(!house.remembers(&token, None));
}

#[tokio::test]
async fn a_remembered_token_is_refused_from_the_moment_it_expires() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;
    let token = minted(&issuer, Duration::from_secs(60));
    house.ask(&token).await.unwrap();

    house.clock.advance(Duration::from_secs(59));
    assert!(house.ask(&token).await.is_ok());
    house.clock.advance(Duration::from_secs(1));

    assert!(matches!(house.ask(&token).await, Err(AuthnError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_remembered_token_dies_with_the_key_that_proved_it() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let mut house = House::of(&[(ISSUER, &file)]).await;
    let token = token(&issuer, start());
    house.ask(&token).await.unwrap();

    file.swap(&crate::testing::issuer().jwks_json());
    house.load().await;

    assert!(matches!(house.ask(&token).await, Err(AuthnError::Refused { .. })));
}

#[tokio::test]
async fn the_memory_is_bounded() {
    let issuer = issuer();
    let file = KeyFile::of(&issuer);
    let house = House::of(&[(ISSUER, &file)]).await;
    let proven = house.authentication.prove(&token(&issuer, start())).await.unwrap();
    let memory = VerifiedTokens::new(8);

    for n in 0..1000_u64 {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&n.to_be_bytes());
        memory.insert(digest, proven.clone(), start());
    }

    assert!(memory.len() <= 8, "{}", memory.len());
}
