//! `[vault]` as operators write it, well and badly.

use std::fs;

use signet_runtime::config::{Document, Environment};

use super::*;

const LEAST: &str = "address = ['https://vault.test']\nauth.method = 'cert'\nclient_certificate_file = '/c'\n\
                     client_key_file = '/k'\n";

fn read(lines: &str) -> Result<Option<VaultConfig>, String> {
    let environment = Environment::of("T_", &[], std::iter::empty::<(&str, &str)>());
    let document = Document::parse("t.toml", &format!("[vault]\n{lines}"), environment).unwrap();
    let config = VaultConfig::read(&document.section("vault"));
    document.finish(Some(config)).map_err(|faults| faults.to_string())
}

fn with(lines: &str) -> VaultConfig {
    read(&format!("{LEAST}{lines}")).unwrap().unwrap()
}

#[test]
fn what_is_not_written_is_usual() {
    let config = with("");
    let PkiConfig { mount, role, serving_role, issuer, roots_file, .. } = config.pki;
    assert_eq!((mount.as_str(), role.as_str()), ("pki", "signet-workload"));
    assert_eq!((serving_role, issuer, roots_file), (None, None, None));
    assert_eq!((config.timeout, config.concurrency, config.queue), (Duration::from_secs(5), 32, 1024));
    assert_eq!(config.addresses[0].as_str(), "https://vault.test/");
    assert_eq!(read(""), Ok(None), "no section");
}

#[test]
fn a_mount_may_stand_between_slashes_as_vault_prints_it() {
    assert_eq!(with("mount = '/team/pki/'").pki.mount, "team/pki");
}

#[test]
fn each_method_has_its_mount_and_its_files() {
    let path = PathBuf::from;
    for (auth, mount, method) in [
        (
            "method = 'kubernetes'\nrole = 'r'",
            "kubernetes",
            AuthMethod::Kubernetes { role: "r".to_owned(), jwt_file: path("/var/run/secrets/vault/token") },
        ),
        (
            "method = 'jwt'\njwt_file = '/j'\nmount = 'cluster-2/jwt'",
            "cluster-2/jwt",
            AuthMethod::Jwt { role: None, jwt_file: path("/j") },
        ),
        (
            "method = 'approle'\nrole_id_file = '/r'\nsecret_id_file = '/s'",
            "approle",
            AuthMethod::AppRole { role_id_file: path("/r"), secret_id_file: path("/s") },
        ),
        ("method = 'cert'\nrole = 'r'", "cert", AuthMethod::Cert { role: Some("r".to_owned()) }),
        (
            "method = 'token-file'\ntoken_file = '/t'",
            "token",
            AuthMethod::TokenFile { token_file: path("/t") },
        ),
    ] {
        let lines = LEAST.replace("auth.method = 'cert'\n", "");
        let config = read(&format!("{lines}[vault.auth]\n{auth}")).unwrap().unwrap();
        assert_eq!(config.auth, AuthConfig { mount: mount.to_owned(), method }, "{auth}");
    }
}

#[test]
fn several_nodes_and_a_prefix_are_kept_as_they_are() {
    let lines = LEAST.replace(
        "['https://vault.test']",
        "['https://a.test:8200/vault', 'https://b.test/', 'http://127.0.0.1:8200', 'http://[::1]:1', \
         'http://localhost:1']",
    );
    let config = read(&lines).unwrap().unwrap();
    let addresses: Vec<_> = config.addresses.iter().map(Url::as_str).collect();
    assert_eq!(
        addresses,
        [
            "https://a.test:8200/vault/",
            "https://b.test/",
            "http://127.0.0.1:8200/",
            "http://[::1]:1/",
            "http://localhost:1/"
        ]
    );
}

#[test]
fn what_cannot_be_is_refused_with_its_remedy() {
    let address = |text: &str| LEAST.replace("https://vault.test", text);
    let auth = |lines: &str| LEAST.replace("auth.method = 'cert'", lines);
    for (fault, lines, told) in [
        (
            "plain HTTP",
            address("http://vault.test"),
            "vault.address: `http://vault.test`: tokens do not travel",
        ),
        ("plain HTTP to what looks local", address("http://127.0.0.1.test"), "tokens do not travel"),
        ("no URL", address("vault.test:8200"), "want e.g. `https://vault.vault.svc:8200`"),
        ("no host", address("https://"), "is no URL"),
        ("a query", address("https://vault.test?x=1"), "has more than host, port and path"),
        ("a user", address("https://user@vault.test"), "has more than"),
        ("a fragment", address("https://vault.test#x"), "has more than"),
        ("one of two", address("https://a.test', 'http://b.test"), "tokens do not travel"),
        ("no method", auth(""), "vault.auth.method: is required"),
        (
            "another method",
            auth("auth.method = 'ldap'"),
            "unknown `ldap` (want kubernetes, jwt, approle, cert",
        ),
        ("no role", auth("auth.method = 'kubernetes'"), "vault.auth.role: is required"),
        (
            "half an approle",
            auth("auth.method = 'approle'\nauth.role_id_file = '/r'"),
            "vault.auth.secret_id_file: is required",
        ),
        ("no token", auth("auth.method = 'token-file'"), "vault.auth.token_file: is required"),
        (
            "no certificate",
            "address = ['https://vault.test']\nauth.method = 'cert'".to_owned(),
            "vault.client_certificate_file: is required",
        ),
        (
            "half a certificate",
            "address = ['https://vault.test']\nauth.method = 'jwt'\nclient_key_file = '/k'".to_owned(),
            "needs `client_key_file`",
        ),
        (
            "a mount that leads elsewhere",
            format!("{LEAST}mount = '../sys'"),
            "`../sys` is no name of Vault's",
        ),
        ("a mount that leads nowhere", format!("{LEAST}mount = 'pki/./int'"), "is no name of Vault's"),
        ("a role with a query", format!("{LEAST}role = 'a?b'"), "vault.role: `a?b` is no name"),
        ("an issuer with a path", format!("{LEAST}issuer = 'a//b'"), "vault.issuer"),
        ("a serving role of nothing", format!("{LEAST}serving_role = ''"), "vault.serving_role"),
        ("a namespace that is no header", format!("{LEAST}namespace = \"a\\nb\""), "vault.namespace"),
        ("no time", format!("{LEAST}timeout = '0s'"), "vault.timeout"),
        ("too much time", format!("{LEAST}timeout = '2m'"), "vault.timeout"),
        ("nobody at a time", format!("{LEAST}concurrency = 0"), "vault.concurrency"),
        ("too many at a time", format!("{LEAST}concurrency = 1025"), "vault.concurrency"),
        ("too long a queue", format!("{LEAST}queue = 1048577"), "vault.queue"),
        ("too short a life", format!("{LEAST}intermediate_lifetime = '59s'"), "vault.intermediate_lifetime"),
        ("too long a life", format!("{LEAST}intermediate_lifetime = '3651d'"), "vault.intermediate_lifetime"),
        ("a key of nobody's", format!("{LEAST}rôle = 'x'").replace('ô', "oo"), "vault.roole: unknown key"),
    ] {
        let refused = read(&lines).expect_err(fault);
        assert!(refused.contains(told), "{fault}: {refused}");
    }
}

#[test]
fn a_password_in_an_address_is_not_repeated() {
    for address in ["https://user:hunter2@vault.test", "https://:hunter2@vault.test", "u:hunter2@vault.test"]
    {
        let refused = read(&LEAST.replace("https://vault.test", address)).unwrap_err();
        assert!(refused.contains("vault.address") && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn each_file_that_cannot_be_used_is_named_by_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (empty, long, open) = (file("empty", " \n"), file("long", &"x".repeat(300_000)), file("open", "s"));
    let no_pem = file("no-pem", "-----BEGIN CERTIFICATE-----");
    // Everybody may write it.
    fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o646)).unwrap();
    let lines = format!(
        "address = ['https://vault.test']\nca_file = '{empty}'\nroots_file = '{long}'\n\
         client_certificate_file = '/absent'\nclient_key_file = '{open}'\n\
         auth.method = 'approle'\nauth.role_id_file = '{open}'\nauth.secret_id_file = '{open}'"
    );
    let faults = read(&lines).unwrap().unwrap().judge_files();
    let faults: Vec<_> = faults.iter().map(|(key, fault)| (*key, fault.to_string())).collect();
    let expected = [
        ("ca_file", "it is empty"),
        ("client_certificate_file", "cannot read /absent"),
        ("client_key_file", "mode"),
        ("roots_file", "at most 256 KiB"),
        ("auth.secret_id_file", "mode"),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:?}");
    for ((key, fault), (expected_key, told)) in faults.iter().zip(expected) {
        assert!(*key == expected_key && fault.contains(told), "{key}: {fault}");
    }
    for (auth, expected_key) in [
        (format!("auth.method = 'jwt'\nauth.jwt_file = '{empty}'"), "auth.jwt_file"),
        (format!("auth.method = 'kubernetes'\nauth.role = 'r'\nauth.jwt_file = '{empty}'"), "auth.jwt_file"),
        (format!("auth.method = 'token-file'\nauth.token_file = '{open}'"), "auth.token_file"),
        (
            format!("ca_file = '{no_pem}'\nauth.method = 'token-file'\nauth.token_file = '{no_pem}'"),
            "ca_file",
        ),
    ] {
        let config = read(&format!("address = ['https://vault.test']\n{auth}")).unwrap().unwrap();
        let faults: Vec<_> = config.judge_files().into_iter().map(|(key, _)| key).collect();
        assert_eq!(faults, [expected_key], "{auth}");
    }
}
