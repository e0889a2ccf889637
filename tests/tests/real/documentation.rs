//! What `docs/` says is so: the programs know the keys of the configuration, and Envoy takes its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use signet::stage::Stage;
use signet_tests::alone;

#[test]
fn every_key_is_documented_and_every_documented_key_is_known() {
    alone(async |programs| {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))?;
        for (title, program) in [("signet-ca", programs.ca()?), ("signet-node-agent", programs.node_agent()?)]
        {
            let (_, chapter) = page.split_once(&format!("\n## {title}\n")).context("no such chapter")?;
            let chapter = chapter.split("\n## ").next().unwrap_or_default();
            let tables: Vec<_> = chapter.split("\n### `").skip(1).filter_map(Table::read).collect();
            ensure!(tables.len() >= 7, "{title}: {} tables", tables.len());
            for table in tables {
                let known = known_keys(&program, table.header)?;
                ensure!(
                    table.keys == known,
                    "{title} {}: {:?} documented, {known:?} known",
                    table.header,
                    table.keys
                );
            }
        }
        Ok(())
    });
}

#[test]
fn the_programs_take_the_configurations_for_vault_that_are_documented() {
    alone(async |programs| {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/vault.md"))?;
        let stage = Stage::set()?;
        let [ca, agent] = blocks(&page, "toml")[..] else { bail!("not two blocks of TOML") };
        for (program, configuration) in [(programs.ca()?, ca), (programs.node_agent()?, agent)] {
            let file = stage.write("documented.toml", configuration)?;
            let mut command = Command::new(&program);
            let output = command.arg("--config").arg(file).args(["vault", "setup", "--print"]).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}: {said}", program.display());
        }
        Ok(())
    });
}

#[test]
fn envoy_takes_the_configuration_that_is_documented() {
    alone(async |programs| {
        let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/envoy.md"))?;
        let stage = Stage::set()?;
        let [cluster, context, google] = blocks(&page, "yaml")[..] else { bail!("not three blocks of YAML") };
        let [token] = blocks(&page, "json")[..] else { bail!("not one block of JSON") };
        let token = stage.write("token.json", token)?.display().to_string();
        let cluster =
            cluster.replace("/etc/envoy/token.json", &token).replace("/var/run/secrets/tokens", "/");
        let google = indented(&google.replace("/var/run/secrets/tokens/istio-token", &token), 6);
        let (before, service) = context.split_once("      grpc_services:\n").context("no service")?;
        let (_, after) = service.split_once("combined_validation_context:").context("no roots")?;
        let by_google = format!("{before}{google}combined_validation_context:{after}");
        for (name, context) in [("envoy_grpc", context), ("google_grpc", &by_google)] {
            ensure!(context.contains(name), "no {name} in {context}");
            let bootstrap = format!(
                "node: {{id: documented, cluster: signet}}\nstatic_resources:\n{}\n  listeners:\n{LISTENER}\n{}\n",
                indented(&cluster, 2),
                indented(context, 12)
            );
            let file = stage.write("documented.yaml", &bootstrap)?;
            let output =
                Command::new(programs.envoy()).args(["--mode", "validate", "-c"]).arg(file).output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{name}: {said}");
        }
        Ok(())
    });
}

const LISTENER: &str = r#"  - name: inbound
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: inbound
          cluster: node_agent
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:"#;

/// The page's blocks of code in this language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}\n");
    page.split(&opening).skip(1).filter_map(|block| Some(block.split_once("```")?.0)).collect()
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// A table of the page.
struct Table<'a> {
    /// `[limits]`, `[[issuer]]`
    header: &'a str,
    keys: BTreeSet<String>,
}

impl<'a> Table<'a> {
    fn read(section: &'a str) -> Option<Self> {
        let (header, rows) = section.split_once('`')?;
        let key = |row: &str| Some(row.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        Some(Self { header, keys: rows.lines().filter_map(key).collect() })
    }
}

/// What the program offers in place of a key that it does not know.
fn known_keys(program: &Path, header: &str) -> Result<BTreeSet<String>> {
    let stage = Stage::set()?;
    let file = stage.write("unknown.toml", &format!("{header}\nno_such_key = 1\n"))?;
    let output = Command::new(program).arg("--config").arg(&file).arg("check").output()?;
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, offered) =
        faults.split_once("no_such_key: unknown key; want one of ").with_context(|| faults.clone())?;
    let offered = offered.split_once('.').context("the list has no end")?.0;
    Ok(offered.split(", ").map(str::to_owned).collect())
}
