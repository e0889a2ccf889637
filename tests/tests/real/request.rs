//! `signet request` before a real CA: what it says, how it ends, and what it leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use signet::stage::{Ca, CaSettings, Programs, Stage, TokenIssuer, Workload};
use signet_tests::command::{Said, text};
use signet_tests::{alone, openssl};

const START: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const ORDERS: &str = "spiffe://cluster.local/ns/shop/sa/orders";

/// A CA, and a workload with a token that it believes.
struct Scene<'a> {
    programs: &'a Programs,
    ca: Ca,
    orders: Workload,
    stage: Stage,
}

impl<'a> Scene<'a> {
    async fn set(programs: &'a Programs) -> Result<Self> {
        let stage = Stage::set()?;
        let issuer = Arc::new(TokenIssuer::new(&stage)?);
        let mut ca = Ca::start(&stage, programs, &CaSettings::new(HOUR, &issuer))?;
        ca.daemon().ready(START).await?;
        Ok(Self { programs, ca, orders: Workload::new(&stage, &issuer, "orders", HOUR)?, stage })
    }

    /// A flag may be given once: what is given here stands in place of the usual.
    fn request(&self, arguments: &[&str]) -> Result<Said> {
        let (address, anchors) = (format!("localhost:{}", self.ca.grpc()), self.ca.anchors());
        let token = self.orders.token_file();
        let mut line = vec!["request", "--token-file", text(&token)?];
        for (flag, usual) in [("--ca", address.as_str()), ("--anchors", text(&anchors)?)] {
            if !arguments.contains(&flag) {
                line.extend([flag, usual]);
            }
        }
        line.extend(arguments);
        Said::by(self.programs, &line)
    }
}

#[test]
fn a_certificate_is_asked_for_and_judged_and_kept() {
    alone(async |programs| {
        let scene = Scene::set(programs).await?;
        let path = |name| scene.stage.directory().join(name);
        let (chain, key, bundle) = (path("chain.pem"), path("key.pem"), path("bundle.pem"));
        let files =
            ["--cert-file", text(&chain)?, "--key-file", text(&key)?, "--bundle-file", text(&bundle)?];

        scene.request(&files)?.must(0, &[ORDERS, "✓ rules", "wrote"])?;
        ensure!(fs::metadata(&key)?.permissions().mode() & 0o777 == 0o600, "others can read the key");
        openssl::verify_strictly(&scene.stage, &fs::read_to_string(&chain)?, &fs::read_to_string(&bundle)?)?;
        let first = fs::read(&chain)?;
        scene.request(&files)?.must(2, &["is there already", "--force"])?;
        ensure!(fs::read(&chain)? == first, "it was overwritten");

        // The key that is there already, a shorter life, and the same points for a script.
        let again = ["--key", text(&key)?, "--lifetime", "10m", "--output", "json", ORDERS];
        let answer = scene.request(&again)?.must(0, &[])?.json()?;
        ensure!(answer["held"] == true && answer["spiffe_id"] == ORDERS, "{answer}");
        ensure!(answer["checks"].as_array().is_some_and(|checks| checks.len() == 6), "{answer}");
        scene.request(&["--lifetime", "2h"])?.must(1, &["✗ lifetime"]).map(drop)
    });
}

#[test]
fn each_mistake_gets_its_words_and_its_exit_code() {
    alone(async |programs| {
        let scene = Scene::set(programs).await?;
        let closed = format!("localhost:{}", scene.stage.free_port()?);
        let operations = format!("localhost:{}", scene.ca.operations());
        let numeric = format!("127.0.0.1:{}", scene.ca.grpc());
        let stranger = scene.stage.write("stranger.pem", &another_root(programs).await?)?;
        let csr = scene.stage.write(
            "csr.pem",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        )?;
        let absent = "/nonexistent/root-cert.pem";
        for (arguments, code, parts) in [
            (
                &["spiffe://cluster.local/ns/shop/sa/frontend"][..],
                1,
                &["PERMISSION_DENIED", "request", "remedy"][..],
            ),
            (&["--csr", text(&csr)?], 1, &["INVALID_ARGUMENT", "request", "remedy"]),
            (&["--ca", &closed], 3, &["no CA to be had", "no TCP connection", "that the CA runs"]),
            (&["--ca", &operations], 3, &["no TLS connection"]),
            (
                &["--ca", &numeric, "--server-name", "ca.example"],
                3,
                &["presented", "DNS:localhost", "ca.example"],
            ),
            (&["--anchors", text(&stranger)?], 3, &["the server presented", "issued by", "trust anchors"]),
            (&["--anchors", absent], 3, &[absent, "root-cert.pem in its state directory"]),
        ] {
            let line = arguments.join(" ");
            let said = scene.request(arguments)?;
            said.must(code, parts).map_err(|error| error.context(line))?;
        }
        Ok(())
    });
}

async fn another_root(programs: &Programs) -> Result<String> {
    Ok(fs::read_to_string(Scene::set(programs).await?.ca.anchors())?)
}

/// What `signet csr new --break` promises of a correct CA, this one does.
#[test]
fn a_csr_that_is_wrong_on_purpose_gets_the_answer_that_was_promised() {
    alone(async |programs| {
        let scene = Scene::set(programs).await?;
        let refused = ["signature", "wrong-key", "weak-key", "wrong-version", "trailing-bytes"];
        let refused = refused.into_iter().chain(["duplicate-extension", "huge"]);
        let denied = ["no-san", "two-uris", "dns-only", "dns-beside", "other-identity", "not-spiffe"];
        let denied = denied.into_iter().chain(["no-path", "uppercase-trust-domain", "with-query"]);
        let denied = denied.chain(["percent-encoding"]);
        let ways = refused.map(|way| (way, "INVALID_ARGUMENT"));
        for (way, status) in ways.chain(denied.map(|way| (way, "PERMISSION_DENIED"))) {
            let csr = scene.stage.directory().join(way);
            let made = ["csr", "new", ORDERS, "--break", way, "--csr-file", text(&csr)?];
            Said::by(programs, &made)?.must(0, &[status])?;
            let said = scene.request(&["--csr", text(&csr)?])?;
            said.must(1, &[status]).map_err(|error| error.context(way))?;
        }
        for way in ["ca-true", "key-cert-sign"] {
            let (csr, chain) = (scene.stage.directory().join(way), scene.stage.directory().join("chain.pem"));
            let made = ["csr", "new", ORDERS, "--break", way, "--csr-file", text(&csr)?];
            Said::by(programs, &made)?.must(0, &["issued"])?;
            let wanted = ["--csr", text(&csr)?, "--cert-file", text(&chain)?, "--force"];
            scene.request(&wanted)?.must(0, &["✓ rules"]).map_err(|error| error.context(way))?;
            let leaf = Said::by(programs, &["cert", "inspect", "--output", "json", text(&chain)?])?;
            let leaf = &leaf.must(0, &[])?.json()?["certificates"][0];
            ensure!(leaf["basic_constraints"] == "CA:FALSE", "{way}: {leaf}");
            ensure!(leaf["key_usage"] == serde_json::json!(["digitalSignature"]), "{way}: {leaf}");
        }
        Ok(())
    });
}
