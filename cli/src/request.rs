//! `signet request`: one certificate from a CA, and whether it is what was asked for.

mod answer;
mod ask;
mod checks;
mod files;

use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use signet_client::{CaClient, CaError, IstioCa, Outage, Token};
use signet_identity::{Clock, SpiffeId};
use signet_runtime::SystemClock;
use tokio::time::Instant;

use crate::flags::{CaFlags, TokenFlags};
use crate::outcome::{Outcome, Usage};
use crate::output::Console;
use crate::refused::Refused;
use crate::task;
use answer::{Taken, refused};
use ask::{Ask, AskFlags};
use checks::Answered;
use files::FileFlags;

/// Whom to ask, by which token, for what.
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// The identity to ask for [default: the one of the token's service account]
    spiffe_id: Option<SpiffeId>,
    #[command(flatten)]
    ca: CaFlags,
    #[command(flatten)]
    token: TokenFlags,
    #[command(flatten)]
    ask: AskFlags,
    #[command(flatten)]
    files: FileFlags,
    /// The longest that the CA may take to be reached, and then to answer
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    deadline: Duration,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  signet request --ca localhost:15012 --anchors ./try/state/root-cert.pem --token-file ./try/token
  signet request spiffe://cluster.local/ns/shop/sa/orders --anchors root-cert.pem --token-file token --lifetime 1h
  signet request --anchors root-cert.pem --token-file token --cert-file chain.pem --key-file key.pem
  signet request --anchors root-cert.pem --token-file token --csr csr.pem
  signet request --ca istiod.istio-system.svc:15012 --ca-kind istio --anchors root-cert.pem --token-file token

Exit code 0: the certificate is what was asked for; 1: it is not, or the CA refused; 3: no CA was to be had.";

impl Request {
    /// Asks, and judges the answer.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let token = self.token.token()?.ok_or_else(|| {
            Usage(
                "a CA issues for a token: give --token-file FILE, or SIGNET_TOKEN in the environment"
                    .to_owned(),
            )
        })?;
        self.files.refuse_to_overwrite()?;
        let ask = self.ask.ask(self.spiffe_id.as_ref(), &token, self.ca.trust_domain())?;
        task::block_on(|stop| async move {
            let asked = self.ask_ca(&token, &ask);
            let Some(answered) = stop.run_until_cancelled(asked).await else {
                return Err(anyhow!("interrupted before the CA answered"));
            };
            self.judge(&ask, answered?, console)
        })
    }

    /// The CA's answer: a certificate, or its refusal. An error is a CA that was not to be had.
    async fn ask_ca(&self, token: &Token, ask: &Ask) -> Result<Result<Answered, Refused>> {
        let endpoint = self.ca.endpoint()?;
        let anchors = checks::anchors(&endpoint.anchors)?;
        let began = Instant::now();
        let ca = IstioCa::with_deadline(endpoint, self.deadline)
            .map_err(|fault| Usage(format!("{fault}; see --ca and --server-name")))?;
        ca.connected().await.map_err(unavailable)?;
        let connect = began.elapsed();
        let issued = ca.issue(token, &ask.csr_pem, ask.lifetime).await;
        let taken = Taken { connect, issue: began.elapsed() - connect };
        match issued {
            Ok(issued) => Ok(Ok(Answered { issued, anchors, taken, at: SystemClock.now() })),
            Err(error) => refused(error, token).map(Err).map_err(unavailable),
        }
    }

    fn judge(
        &self,
        ask: &Ask,
        answered: Result<Answered, Refused>,
        console: &mut Console<'_>,
    ) -> Result<Outcome> {
        let answered = match answered {
            Ok(answered) => answered,
            Err(refused) => {
                console.answer(&refused)?;
                return Ok(Outcome::NotHeld);
            }
        };
        let answer = answered.judge(ask)?;
        console.answer(&answer)?;
        if answer.held() {
            self.files.write(ask, &answered.issued, console)?;
        } else if self.files.are_wanted() {
            console.note("no file is written, because the answer is not what was asked for")?;
        }
        Ok(answer.held().into())
    }
}

/// No certificate, and no word of a CA on why.
fn unavailable(error: CaError) -> anyhow::Error {
    match error {
        CaError::Unavailable(Outage::Answered(refusal)) => {
            anyhow!("the CA cannot serve this request now: {refusal}")
        }
        CaError::Overloaded(refusal) => {
            let when = refusal.retry_after.map(|wait| format!(" in {}", crate::output::span(wait)));
            anyhow!("the CA has too much to do: {refusal}; ask again{}", when.unwrap_or_default())
        }
        CaError::Unavailable(outage) => anyhow::Error::new(outage).context("no CA to be had"),
        other => anyhow::Error::new(other),
    }
}

#[cfg(test)]
mod tests;
