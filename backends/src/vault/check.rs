//! Tries the whole path to a signature by Vault, and says what holds and what an operator has to mend.
//!
//! It changes at Vault what its own login does: a token is made, which is given back or ends by itself, and one use of an
//! AppRole's secret id is gone. A role with `no_store=false` stores the throw-away certificates, too. Each step is bounded
//! by `vault.timeout`.

mod attempt;
mod finding;
mod intermediate;
mod permission;
mod reach;
mod refusal;
mod role;

use std::time::Duration;

use signet_identity::{Clock, SpiffeId, TrustDomain};
use signet_runtime::telemetry::chain;
use tokio::time::Instant;
use zeroize::Zeroizing;

use self::{attempt::Attempt, finding::Findings, permission::Permission};
use super::{
    AuthConfig, AuthMethod, IssuerChain, IssuerPath, Login, VaultClient, VaultConfig, VaultError,
    VaultSession,
};

pub use finding::{Finding, Verdict};

/// What is to be tried.
pub struct VaultCheck<'a> {
    /// The Vault, and who we are there.
    pub config: VaultConfig,
    /// Of the identities that it signs.
    pub trust_domain: TrustDomain,
    /// What it signs.
    pub purpose: Purpose,
    /// By which its certificates are judged.
    pub clock: &'a dyn Clock,
}

/// What Vault signs.
pub enum Purpose {
    /// Leaves for a CA.
    Leaves {
        /// The longest that the CA asks for.
        lifetime: Duration,
        /// The DNS names of the CA's own certificate, if Vault signs it.
        serving: Option<Vec<String>>,
    },
    /// An intermediate of a CA.
    Intermediate,
    /// Leaves for workloads, each by its own token.
    Workload {
        /// One of these tokens.
        token: Zeroizing<String>,
        /// Whom it is for.
        identity: SpiffeId,
        /// What the agent asks for, if it asks for any.
        lifetime: Option<Duration>,
    },
}

/// A throw-away certificate, as somebody would ask for it.
struct Wanted<'a> {
    /// Names it in a finding.
    step: &'static str,
    role: &'a str,
    identity: SpiffeId,
    dns_names: &'a [String],
    /// With the configuration's key of it. `None`: the role's.
    lifetime: Option<(Duration, &'static str)>,
    scope: Scope,
}

/// Whose identities a role may sign for one who is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Any: a CA has approved them.
    Any,
    /// His own: nobody else decides.
    Own,
}

/// What is there to try roles at.
struct Reached<'a> {
    session: &'a VaultSession,
    issuer: IssuerChain,
    path: IssuerPath,
}

impl VaultCheck<'_> {
    /// Tries everything as far as it goes, and tells each finding as it is made. Returns the worst.
    pub async fn run(self, tell: &mut dyn FnMut(&Finding)) -> Verdict {
        let mut findings = Findings::new(tell);
        if let Some(session) = self.session(&mut findings).await {
            self.beyond_login(&session, &mut findings).await;
            self.goodbye(&session, &mut findings).await;
        }
        findings.worst()
    }

    /// Up to the login.
    async fn session(&self, findings: &mut Findings<'_>) -> Option<VaultSession> {
        let own_token = !matches!(self.purpose, Purpose::Workload { .. });
        let files = self.config.judge_files().into_iter();
        let files: Vec<_> = files.filter(|(key, _)| own_token || *key != "auth.jwt_file").collect();
        for (key, fault) in &files {
            findings.fault("files", format!("vault.{key}: {}", chain(fault)));
        }
        if !files.is_empty() {
            return None;
        }
        let client = match VaultClient::new(self.config.clone(), "signet_check") {
            Ok(client) => client,
            Err(error) => {
                findings.fault("files", chain(&error).to_string());
                return None;
            }
        };
        if !reach::try_all(&self.config, findings).await {
            return None;
        }
        let login = match &self.purpose {
            Purpose::Workload { token, .. } => Login::Jwt(token.clone()),
            Purpose::Leaves { .. } | Purpose::Intermediate => Login::Configured,
        };
        let session = VaultSession::new(client, login);
        match session.log_in(patience(session.client())).await {
            Ok(()) => {
                findings.holds("login", logged_in(&self.config.auth));
                Some(session)
            }
            Err(error) => {
                findings.fault("login", refusal::of_login(&self.config.auth, &error));
                None
            }
        }
    }

    /// What is not given back ends by itself; for one token a workload, that may be too late.
    async fn goodbye(&self, session: &VaultSession, findings: &mut Findings<'_>) {
        let outcome = session.close(patience(session.client())).await;
        if let (Err(VaultError::Denied { path, .. }), Purpose::Workload { .. }) = (outcome, &self.purpose) {
            let lacks = refusal::lacks(&path);
            findings.hint("policy", format!("{lacks}; as it is, a token lives on without its workload"));
        }
    }

    async fn beyond_login(&self, session: &VaultSession, findings: &mut Findings<'_>) {
        let Some(issuer) = self.issuer(session.client(), findings).await else { return };
        let reached = Reached { path: issuer.path(&self.config.pki), session, issuer };
        if matches!(self.purpose, Purpose::Intermediate) {
            let name = self.config.pki.issuer.as_deref().unwrap_or("default");
            let path = format!("{}/issuer/{name}/sign-intermediate", self.config.pki.mount);
            if permission::ask(session, &path, findings).await != Permission::Missing {
                self.try_intermediate(session, findings).await;
            }
        }
        let mut all_signed = true;
        for wanted in &self.wanted() {
            all_signed &= self.try_role(&reached, wanted, findings).await;
        }
        if matches!(self.purpose, Purpose::Workload { .. }) && all_signed {
            self.try_to_be_another(&reached, findings).await;
        }
    }

    /// The certificates that roles are to sign.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        let role = &self.config.pki.role;
        match &self.purpose {
            Purpose::Intermediate => Vec::new(),
            Purpose::Leaves { lifetime, serving } => {
                let workloads = Wanted {
                    step: "workloads",
                    role,
                    identity: self.anybody("signet-check"),
                    dns_names: &[],
                    lifetime: Some((*lifetime, "issuing.max_lifetime")),
                    scope: Scope::Any,
                };
                let serving = serving.as_ref().zip(self.config.pki.serving_role.as_ref());
                let serving = serving.map(|(dns_names, role)| Wanted {
                    step: "serving",
                    role,
                    identity: SpiffeId::certificate_authority(&self.trust_domain),
                    dns_names,
                    lifetime: None,
                    scope: Scope::Any,
                });
                [Some(workloads), serving].into_iter().flatten().collect()
            }
            Purpose::Workload { identity, lifetime, .. } => vec![Wanted {
                step: "workload",
                role,
                identity: identity.clone(),
                dns_names: &[],
                lifetime: lifetime.map(|lifetime| (lifetime, "certificate.lifetime")),
                scope: Scope::Own,
            }],
        }
    }

    /// Who signs, and whether proxies could be told whom to trust.
    async fn issuer(&self, client: &VaultClient, findings: &mut Findings<'_>) -> Option<IssuerChain> {
        let issuer = match IssuerChain::read(client, patience(client)).await {
            Ok(issuer) => issuer,
            Err(error) => {
                findings.fault("issuer", refusal::of_issuer(&self.config.pki, &error));
                return None;
            }
        };
        let (validity, now) = (issuer.certificate.validity(), self.clock.now());
        if let Err(error) = validity.signs_at(now) {
            findings
                .fault("issuer", format!("the issuer of {} signs nothing: {error}", self.config.pki.mount));
            return None;
        }
        let text = format!(
            "{} of {}, valid for another {}, under {} root(s)",
            issuer.issuer_id,
            self.config.pki.mount,
            finding::days(validity.remaining(now)),
            issuer.roots.len()
        );
        findings.holds("issuer", text);
        Some(issuer)
    }

    /// What the role says, if we may know it; and what it signs. Whether all is well.
    async fn try_role(
        &self,
        reached: &Reached<'_>,
        wanted: &Wanted<'_>,
        findings: &mut Findings<'_>,
    ) -> bool {
        let (mount, role, session) = (&self.config.pki.mount, wanted.role, reached.session);
        let signs_at = match &reached.path {
            IssuerPath::OfTheRole => format!("{mount}/sign/{role}"),
            IssuerPath::Issuer(issuer) => format!("{mount}/issuer/{issuer}/sign/{role}"),
        };
        permission::ask(session, &signs_at, findings).await != Permission::Missing
            && role::read(session, wanted, findings).await
            && Attempt { reached, wanted, trust_domain: &self.trust_domain, clock: self.clock }
                .run(findings)
                .await
    }

    /// Vault must refuse what is not the token's own: nobody else looks.
    async fn try_to_be_another(&self, reached: &Reached<'_>, findings: &mut Findings<'_>) {
        let role = &self.config.pki.role;
        match attempt::sign_another(reached, role, &self.anybody("signet-check-another")).await {
            Ok(()) => findings.fault(
                "another",
                format!(
                    "role {role} signs the identity of another service account for this token: any workload could be \
                     any other. Its allowed_uri_sans must tie the SPIFFE ID to the token (`signet-node-agent vault \
                     setup --print`)"
                ),
            ),
            Err(VaultError::Refused { .. }) => {
                findings.holds("another", format!("role {role} refuses the identity of another service account"));
            }
            Err(error) => findings.fault("another", chain(&error).to_string()),
        }
    }

    /// A service account that is in nobody's cluster.
    fn anybody(&self, name: &str) -> SpiffeId {
        SpiffeId::workload(&self.trust_domain, name, name)
            .unwrap_or_else(|_| SpiffeId::certificate_authority(&self.trust_domain))
    }
}

fn logged_in(auth: &AuthConfig) -> String {
    let used = match auth.method {
        AuthMethod::AppRole { .. } => {
            "; that was a use of the secret id: if it had no other (secret_id_num_uses), make a new one"
        }
        _ => "",
    };
    format!("as configured, at auth/{}{used}", auth.mount)
}

/// What a step may take: one attempt at each address.
fn patience(client: &VaultClient) -> Instant {
    let nodes = u32::try_from(client.config().addresses.len()).unwrap_or(1).max(1);
    Instant::now() + client.config().timeout * nodes
}
