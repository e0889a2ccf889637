//! What an operator may write, and what is said about the rest.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, time::Duration};

use signet_runtime::SystemClock;

use super::*;
use crate::{
    authn::{Source, Transport},
    store::{DirectoryStore, StoreSettings},
    trust::{Origin, Trust},
};

fn read(text: &str) -> Result<Config, Faults> {
    read_for(text, DevelopmentKeys::Refused, &[])
}

fn read_for(text: &str, development: DevelopmentKeys, variables: &[(&str, &str)]) -> Result<Config, Faults> {
    let environment = Environment::of(ENVIRONMENT_PREFIX, &[], variables.iter().copied());
    let document = Document::parse("ca.toml", text, environment)?;
    let config = Sections::read(&document, development).checked();
    document.finish(config)
}

/// What a check of a file with this text says, as of now.
fn check(text: &str) -> Result<Vec<String>, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let checked = Config::check(Some(file.path()), DevelopmentKeys::Accepted, &SystemClock);
    let loaded = Config::load(Some(file.path()), DevelopmentKeys::Accepted, &SystemClock);
    assert!(checked.is_err() || loaded.is_ok(), "good for a check, refused by a start: {loaded:?}");
    checked.map_err(|faults| faults.to_string())
}

fn one_issuer(keys: &str) -> Result<IssuerConfig, Faults> {
    let text = format!("[[issuer]]\nurl = 'https://issuer.example/a/'\n{keys}");
    read(&text).map(|config| config.issuers.into_iter().next().unwrap())
}

#[test]
fn nothing_need_be_written() {
    let config = read("").unwrap();

    assert_eq!(config.listen.grpc.to_string(), "0.0.0.0:15012");
    assert_eq!(config.listen.operations.to_string(), "0.0.0.0:15014");
    assert_eq!(config.identity.trust_domain.as_str(), "cluster.local");
    assert_eq!(config.state.directory, Path::new("/var/lib/signet-ca"));
    assert_eq!(config.audit.path, Path::new("/var/lib/signet-ca/audit.jsonl"));
    assert!(config.issuers.is_empty());
}

#[test]
fn a_variable_overrides_the_file() {
    let variables = [("SIGNET_CA_STATE_DIRECTORY", "/tmp/state")];
    let config = read_for("[state]\ndirectory = '/elsewhere'", DevelopmentKeys::Refused, &variables).unwrap();

    assert_eq!(config.state.directory, Path::new("/tmp/state"));
    assert_eq!(config.audit.path, Path::new("/tmp/state/audit.jsonl"), "the audit log moves along");
}

#[test]
fn an_issuer_is_discovered_unless_its_keys_are_named() {
    let url = |text: &str| text.parse().unwrap();
    let fetcher = crate::authn::Fetcher::default();
    let discovered =
        |base| Source::Discovery { base: url(base), fetcher: fetcher.clone(), transport: Transport::Secure };
    for (keys, source) in [
        ("", discovered("https://issuer.example/a/")),
        ("discovery = 'https://10.0.0.1'", discovered("https://10.0.0.1/")),
        (
            "jwks_url = 'https://keys.example/'",
            Source::Url { url: url("https://keys.example/"), fetcher: fetcher.clone() },
        ),
        ("jwks_file = '/keys.json'", Source::File("/keys.json".into())),
    ] {
        assert_eq!(one_issuer(keys).unwrap().source, source, "{keys}");
    }
}

#[test]
fn an_issuer_has_the_audience_of_istio_and_a_minute_of_leeway() {
    let issuer = one_issuer("").unwrap();

    assert_eq!(issuer.issuer, "https://issuer.example/a/", "to the letter");
    assert_eq!(issuer.audiences, ["istio-ca"]);
    assert_eq!(issuer.leeway, Duration::from_secs(60));
}

#[test]
fn an_issuer_that_cannot_work_is_a_fault() {
    for (keys, fault) in [
        ("jwks_url = 'https://a'\njwks_file = '/a'", "issuer[0].url: has keys from several places"),
        ("discovery = 'https://a'\njwks_file = '/a'", "issuer[0].url: has keys from several places"),
        ("jwks_url = 'http://keys.example'", "issuer[0].jwks_url: keys do not travel unprotected"),
        ("jwks_url = 'keys'", "issuer[0].jwks_url: `keys` is no URL"),
        (
            "bearer_token_file = '/token'",
            "issuer[0].bearer_token_file: is sent only to servers under a `ca_file`",
        ),
        ("jwks_file = '/a'\nca_file = '/ca'", "issuer[0].jwks_file: is not fetched"),
        ("leeway = '1h'", "issuer[0].leeway: "),
        ("refresh_floor = '0s'", "issuer[0].refresh_floor: "),
        ("audience = 'x'", "issuer[0].audience: unknown key (did you mean `audiences`?)"),
        ("[[issuer]]\nurl = 'https://issuer.example/a/'", "issuer[1].url: stands in an earlier"),
        ("[[issuer]]\nleeway = '1s'", "issuer[1].url: is required"),
    ] {
        let faults = one_issuer(keys).unwrap_err().to_string();
        assert!(faults.contains(fault), "{keys}: {faults}");
    }
}

#[test]
fn keys_may_travel_unprotected_in_development_only() {
    let text = "[[issuer]]\nurl = 'http://issuer.example'";
    assert!(read(text).is_err());
    assert!(read_for(text, DevelopmentKeys::Accepted, &[]).is_ok());
}

#[test]
fn all_faults_are_reported_at_once() {
    let faults = read(
        "[listen]\ngrpc = '0.0.0.0'\ncores = 0\n[identity]\ntrust_domain = 'A/B'\ndns_names = ['a b']\n\
         [issuing]\nmax_lifetime = '1y'\n[limits]\nin_flight = 0\n[telemetry]\nlog_format = 'xml'\n\
         log_filter = 'signet=loud'\n[audits]\n",
    );

    let faults = faults.unwrap_err().to_string();

    for path in [
        "listen.grpc",
        "listen.cores",
        "identity.trust_domain",
        "identity.dns_names",
        "issuing.max_lifetime",
        "limits.in_flight",
        "telemetry.log_format",
        "telemetry.log_filter",
        "audits",
    ] {
        assert!(faults.contains(&format!(" {path}: ")), "{path} is missing in: {faults}");
    }
}

#[test]
fn the_ca_has_no_more_names_than_its_certificate_may_ask_for() {
    let read = |count: usize| read(&format!("[identity]\ndns_names = {:?}", vec!["ca.example"; count]));
    assert!(read(15).is_ok());
    let faults = read(16).unwrap_err().to_string();
    assert!(faults.contains("identity.dns_names: has 16 names (want at most 15)"), "{faults}");
}

#[test]
fn a_vault_that_signs_leaves_must_have_somebody_to_sign_the_cas_own() {
    let text = "[authority]\nkind = 'vault'\n[vault]\naddress = ['https://vault.test']\n\
                auth.method = 'jwt'\nauth.jwt_file = '/nonexistent/token'";
    let faults = read(text).unwrap_err().to_string();
    assert!(
        faults.contains("1 fault. vault.serving_role: or `serving.certificate_file` is required"),
        "{faults}"
    );

    read(&text.replace("[vault]", "[vault]\nserving_role = 'ca'")).unwrap();
    read(&text.replace("'vault'\n[vault]", "'vault-intermediate'\n[vault]")).unwrap();
    read(&text.replace("'vault'\n[vault]", "'local'\n[vault]")).unwrap();
}

#[test]
fn lifetimes_that_contradict_each_other_are_a_fault() {
    for (case, text) in [
        ("default above the maximum", "default_lifetime = '2h'\nmax_lifetime = '1h'"),
        ("root below a leaf", "max_lifetime = '48h'\nroot_lifetime = '24h'"),
        ("too short", "default_lifetime = '1s'"),
    ] {
        assert!(read(&format!("[issuing]\n{text}")).is_err(), "{case}");
    }
    assert!(read("[issuing]\nmax_lifetime = '1h'").is_ok(), "the default follows the maximum down");
}

const FREE_PORTS: &str = "[listen]\ngrpc = '127.0.0.1:0'\noperations = '127.0.0.1:0'\n";

#[test]
fn having_nobody_to_serve_is_a_notice_and_no_fault() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{FREE_PORTS}[state]\ndirectory = '{}'", directory.path().join("state").display());

    assert_eq!(check(&text), Ok(vec![NO_ISSUER.to_owned()]));
    assert!(!directory.path().join("state").exists(), "a check makes nothing");
}

#[test]
fn faults_of_keys_files_and_ports_are_one_list_each_with_its_key() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let text = format!(
        "[listen]\ngrpc = '{taken}'\noperations = '127.0.0.1:0'\n[limits]\nqueu = 1\n\
         [state]\ndirectory = '{}'\n[audit]\npath = '/nonexistent/audit'\n\
         [[issuer]]\nurl = 'https://a'\njwks_file = '/nonexistent/keys'\n\
         [[issuer]]\nurl = 'https://b'\nca_file = '/nonexistent/ca'\nbearer_token_file = '/nonexistent/token'\n\
         [[issuer]]\nurl = 'nonsense'\n",
        directory.path().display()
    );

    let faults = check(&text).unwrap_err();

    for fault in [
        "8 faults.".to_owned(),
        "limits.queu: unknown key (did you mean `queue`?)".to_owned(),
        format!("listen.grpc: cannot listen on {taken}. Stop what uses it, or set `listen.grpc` to another"),
        format!("state.directory: {} is open to group or others", directory.path().display()),
        "audit.path: cannot write /nonexistent/audit".to_owned(),
        "issuer[0].jwks_file: cannot read /nonexistent/keys".to_owned(),
        "issuer[1].ca_file: cannot read /nonexistent/ca".to_owned(),
        "issuer[1].bearer_token_file: cannot read /nonexistent/token".to_owned(),
        "issuer[2].url: `nonsense` is no URL".to_owned(),
    ] {
        assert!(faults.contains(&fault), "{fault} is missing in: {faults}");
    }
}

#[test]
fn a_ca_with_a_state_starts_without_good_key_files_and_a_new_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let text = format!(
        "{FREE_PORTS}[state]\ndirectory = '{}'\n[authority]\nkind = 'injected'\n\
         [injected]\ndirectory = '/nonexistent/keys'",
        directory.path().display()
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let load = || Config::load(Some(file.path()), DevelopmentKeys::Accepted, &SystemClock);
    let fault = "injected.directory: /nonexistent/keys: 1 fault";
    assert!(load().unwrap_err().to_string().contains(fault));

    let origin = Origin::Injected;
    let trust_domain = "cluster.local".parse().unwrap();
    let settings = StoreSettings { directory: directory.path().to_owned(), trust_domain, origin };
    let mut store = DirectoryStore::open(&settings, SystemClock.now()).unwrap();
    let (known, _key) = store.local_root(Duration::from_secs(86_400), SystemClock.now()).unwrap();
    store.commit(Trust::steady(known), SystemClock.now()).unwrap();
    drop(store);

    load().unwrap();
    let checked = Config::check(Some(file.path()), DevelopmentKeys::Accepted, &SystemClock);
    assert!(checked.unwrap_err().to_string().contains(fault));
}

#[test]
fn files_of_a_key_with_a_fault_are_not_judged_by_its_default() {
    let text = format!("{FREE_PORTS}[state]\ndirectory = ''\n[identity]\ntrust_domain = 'A/B'");

    let faults = check(&text).unwrap_err();

    assert!(faults.contains(" 2 faults. "), "{faults}");
}

#[test]
fn one_port_for_both_services_is_a_fault_if_the_kernel_cannot_tell_them_apart() {
    const ONE_OF_IPV6_WITHOUT_IPV6: &str = "Cannot assign requested address";
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    for (grpc, operations, good) in [
        ("127.0.0.1", "127.0.0.1", false),
        ("0.0.0.0", "127.0.0.1", false),
        ("127.0.0.1", "0.0.0.0", false),
        ("127.0.0.1", "127.0.0.2", true),
        ("0.0.0.0", "[::1]", true),
    ] {
        let port = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let listen = format!("[listen]\ngrpc = '{grpc}:{port}'\noperations = '{operations}:{port}'");

        let checked = check(&format!("{listen}\n[state]\ndirectory = '{}'", state.display()));

        let faults = checked.err().filter(|faults| !faults.contains(ONE_OF_IPV6_WITHOUT_IPV6));
        let fault = faults.as_deref().unwrap_or_default();
        assert_eq!(fault.is_empty(), good, "{grpc} and {operations}: {fault}");
        assert!(good || fault.contains("set `listen.operations` to another address"), "{fault}");
    }
}
