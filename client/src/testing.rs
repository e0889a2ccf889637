//! A certificate authority in memory: its certificates, tokens and refusals are real, its moods are scripted.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test double: what fails here is a fault of the test"
)]

mod script;
mod trust;

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use signet_identity::{
    Approved, Ask, Caller, CertificateRequest, Clock, Csr, IssuingPolicy, Pod, PrivateKey, SpiffeId,
    TrustBundle, TrustDomain, approve,
    jwt::{self, DevelopmentIssuer, Jwks, TokenRequest, TokenRules},
};
use tokio::{sync::watch, time::sleep};
use tonic::Code;

use crate::{CaClient, CaError, Issued, Outage, Reachability, Refusal, Token, TokenHash};
pub use script::{Answer, BundleAnswer, Call, Forgery};
pub use trust::Standing;

/// A CA that proves tokens, decides and signs as the real one does, in this process and by the given clock.
///
/// Tokens come from [`FakeCa::token`]; every other one is refused. Panics where a test would: on anything
/// that cannot fail in a test.
pub struct FakeCa {
    clock: Arc<dyn Clock>,
    policy: IssuingPolicy,
    tokens: DevelopmentIssuer,
    rules: TokenRules,
    jwks: Jwks,
    state: Mutex<State>,
    reachability: watch::Sender<Reachability>,
}

struct State {
    standing: Standing,
    script: VecDeque<Answer>,
    mood: Answer,
    calls: Vec<Call>,
    released: Vec<TokenHash>,
    bundle_mood: BundleAnswer,
    bundle_calls: usize,
}

impl FakeCa {
    /// A CA with a new root. Leaves live an hour unless the call asks otherwise, at most a day.
    pub fn new(trust_domain: TrustDomain, clock: Arc<dyn Clock>) -> Self {
        let standing = Standing::new(&trust_domain, clock.now());
        let tokens = DevelopmentIssuer::new(PrivateKey::generate().unwrap(), ISSUER.to_owned());
        Self {
            rules: TokenRules {
                issuer: ISSUER.to_owned(),
                audiences: vec![AUDIENCE.to_owned()],
                leeway: Duration::ZERO,
            },
            jwks: Jwks::from_json(tokens.jwks_json().as_bytes()).unwrap(),
            tokens,
            policy: IssuingPolicy::new(trust_domain, HOUR, 24 * HOUR).unwrap(),
            state: Mutex::new(State {
                standing,
                script: VecDeque::new(),
                mood: Answer::Honest,
                calls: Vec::new(),
                released: Vec::new(),
                bundle_mood: BundleAnswer::Told,
                bundle_calls: 0,
            }),
            clock,
            reachability: watch::Sender::new(Reachability::Reachable),
        }
    }

    /// A genuine token of the service account.
    pub fn token(&self, namespace: &str, service_account: &str, lifetime: Duration) -> Token {
        Token::new(&self.mint(namespace, service_account, lifetime)).unwrap()
    }

    /// Puts a genuine token of the service account in a file, as the kubelet does.
    pub fn write_token(&self, path: &Path, namespace: &str, service_account: &str, lifetime: Duration) {
        fs::write(path, self.mint(namespace, service_account, lifetime)).unwrap();
    }

    fn mint(&self, namespace: &str, service_account: &str, lifetime: Duration) -> String {
        let request = TokenRequest {
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
            audiences: vec![AUDIENCE.to_owned()],
            lifetime,
            pod: Pod::default(),
        };
        self.tokens.mint(&request, self.clock.now()).unwrap()
    }

    /// Answers the next call not yet spoken for in this way.
    pub fn script(&self, answer: Answer) {
        self.state().script.push_back(answer);
    }

    /// Answers every call that no script is left for in this way, until told otherwise.
    pub fn always(&self, answer: Answer) {
        self.state().mood = answer;
    }

    /// Answers whoever asks for the roots alone in this way, until told otherwise.
    pub fn tell_bundle(&self, answer: BundleAnswer) {
        self.state().bundle_mood = answer;
    }

    /// Tells whoever watches that the CA went away or came back.
    pub fn set_reachability(&self, reachability: Reachability) {
        self.reachability.send_replace(reachability);
    }

    /// From now on signs under a new root; the bundle holds the old one as well.
    pub fn rotate_root(&self) {
        let now = self.clock.now();
        self.change(|standing| {
            standing.prepare_root(now);
            standing.activate_root();
        });
    }

    /// Drops all roots but the one that signs.
    pub fn retire_old_roots(&self) {
        self.change(Standing::retire_old_roots);
    }

    /// From now on sends no bundle version, as istiod does.
    pub fn send_no_version(&self) {
        self.change(Standing::send_no_version);
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        self.state().standing.clone()
    }

    /// From now on it stands otherwise; answers under way are given as it stands when they are given.
    pub fn change(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.state().standing);
    }

    /// The bundle that the next answer will carry.
    pub fn bundle(&self) -> TrustBundle {
        self.standing().bundle()
    }

    /// All calls so far, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How often it was asked for the roots alone.
    pub fn bundle_calls(&self) -> usize {
        self.state().bundle_calls
    }

    /// The tokens that it was told to forget, in that order.
    pub fn released(&self) -> Vec<TokenHash> {
        self.state().released.clone()
    }

    /// What [`Answer::Fail`] needs for a CA to which there is no connection.
    pub fn disconnected() -> CaError {
        CaError::Unavailable(Outage::Disconnected { address: ADDRESS.to_owned(), source: None })
    }

    /// The same for a CA that says UNAVAILABLE.
    pub fn unavailable() -> CaError {
        CaError::Unavailable(Outage::Answered(refusal(Code::Unavailable, "the signer is away")))
    }

    /// The same for a CA that does not believe a token.
    pub fn refused_token() -> CaError {
        CaError::TokenRefused(refusal(Code::Unauthenticated, "keys were rotated"))
    }

    /// The same for RESOURCE_EXHAUSTED.
    pub fn overloaded(retry_after: Duration) -> CaError {
        CaError::Overloaded(Refusal {
            retry_after: Some(retry_after),
            ..refusal(Code::ResourceExhausted, "too many requests")
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The walk of the real CA: who, what, may they, sign.
    fn honest(&self, token: &Token, csr: Csr, lifetime: Option<Duration>) -> Result<Issued, CaError> {
        let now = self.clock.now();
        let approved = self.approve(token, csr, lifetime)?;
        let chain = self.standing().authority.issue(&approved, now);
        Ok(self.issued(chain))
    }

    fn approve(&self, token: &Token, csr: Csr, lifetime: Option<Duration>) -> Result<Approved, CaError> {
        let token = jwt::verify(token.text(), &self.jwks, &self.rules, self.clock.now())
            .map_err(|fault| CaError::TokenRefused(refusal(Code::Unauthenticated, &fault.to_string())))?;
        let caller = Caller::from_service_account(&token, self.policy.trust_domain()).unwrap();
        approve(&caller, csr, Ask { lifetime }, &self.policy)
            .map_err(|denied| CaError::Denied(refusal(Code::PermissionDenied, &denied.to_string())))
    }

    /// Wrong in the one way that is asked for, and right in every other.
    fn forge(&self, forgery: Forgery, token: &Token, csr: Csr, identity: &str) -> Result<Issued, CaError> {
        let (now, trust_domain) = (self.clock.now(), self.policy.trust_domain());
        let granted = self.approve(token, csr, Some(HOUR))?;
        let chain = match forgery {
            Forgery::WrongKey => self.standing().authority.issue(&self.usurp(identity), now),
            Forgery::WrongIdentity => {
                let other = SpiffeId::workload(trust_domain, "somebody", "else").unwrap();
                self.standing().authority.leaf(granted.public_key(), &other, now).sign()
            }
            Forgery::Expired => self.standing().authority.issue(&granted, now - 2 * HOUR),
            Forgery::UnknownRoot => trust::root(trust_domain, now).issue(&granted, now),
            Forgery::NoIntermediate => {
                let root = trust::root(trust_domain, now);
                let chain = root.intermediate(now - HOUR).issue(&granted, now);
                return Ok(Issued { chain: chain.into_iter().take(1).collect(), bundle: root.bundle() });
            }
        };
        Ok(self.issued(chain))
    }

    /// Permission for a key that nobody asked for, by a token of the CA's own making.
    fn usurp(&self, identity: &str) -> Approved {
        let identity: SpiffeId = identity.parse().unwrap();
        let (namespace, service_account) =
            identity.path().strip_prefix("/ns/").and_then(|path| path.split_once("/sa/")).unwrap();
        let request = CertificateRequest::pem(&PrivateKey::generate().unwrap(), &identity).unwrap();
        let token = self.token(namespace, service_account, HOUR);
        self.approve(&token, Csr::from_pem(&request).unwrap(), Some(HOUR)).unwrap()
    }

    fn issued(&self, chain: Vec<CertificateDer<'static>>) -> Issued {
        Issued { chain, bundle: self.bundle() }
    }
}

#[async_trait]
impl CaClient for FakeCa {
    async fn issue(
        &self,
        token: &Token,
        csr_pem: &str,
        lifetime: Option<Duration>,
    ) -> Result<Issued, CaError> {
        let csr = Csr::from_pem(csr_pem)
            .map_err(|fault| CaError::Denied(refusal(Code::InvalidArgument, &fault.to_string())))?;
        let identity = csr.requested_uris().first().cloned().unwrap_or_default();
        let call = Call { at: self.clock.now(), token: token.hash(), identity, lifetime };
        let answer = self.state().take(call.clone());
        match answer {
            Answer::Honest => self.honest(token, csr, lifetime),
            Answer::Late(delay) => {
                sleep(delay).await;
                self.honest(token, csr, lifetime)
            }
            Answer::Hang => Err(silence().await),
            Answer::Fail(error) => Err(error),
            Answer::Panic => panic!("a bug of the client"),
            Answer::Forge(forgery) => self.forge(forgery, token, csr, &call.identity),
        }
    }

    async fn trust_bundle(&self) -> Result<Option<TrustBundle>, CaError> {
        let answer = {
            let mut state = self.state();
            state.bundle_calls += 1;
            state.bundle_mood.clone()
        };
        match answer {
            BundleAnswer::Told => Ok(Some(self.bundle())),
            BundleAnswer::NotOffered => Ok(None),
            BundleAnswer::Hang => Err(silence().await),
            BundleAnswer::Fail(error) => Err(error),
            BundleAnswer::Panic => panic!("a bug of the client"),
        }
    }

    fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.subscribe()
    }

    fn release(&self, token: TokenHash) {
        self.state().released.push(token);
    }
}

impl State {
    fn take(&mut self, call: Call) -> Answer {
        self.calls.push(call);
        self.script.pop_front().unwrap_or_else(|| self.mood.clone())
    }
}

async fn silence() -> CaError {
    sleep(DEADLINE).await;
    CaError::Unavailable(Outage::NoAnswer { address: ADDRESS.to_owned(), deadline: DEADLINE })
}

fn refusal(code: Code, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned(), request_id: Some("fake".to_owned()), retry_after: None }
}

const ADDRESS: &str = "ca.invalid:15012";
const AUDIENCE: &str = "istio-ca";
const DEADLINE: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_secs(3600);
const ISSUER: &str = "https://development.signet.invalid";

#[cfg(test)]
mod tests;
