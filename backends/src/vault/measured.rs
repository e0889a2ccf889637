//! What the metrics of a Vault mean.

use metrics::{Unit, describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};

/// Says it, for the process whose metrics begin with `prefix`. To be called after the recorder is installed.
pub fn describe_metrics(prefix: &str) {
    let name = |rest: &str| format!("{prefix}_vault_{rest}");
    counter!(name("requests_total"), "Requests to Vault, by outcome.");
    histogram!(name("request_seconds"), Unit::Seconds, "Of one attempt at Vault.");
    gauge!(name("requests_in_flight"), "Attempts at Vault under way.");
    gauge!(name("available"), "0 while Vault is not asked because it is away, else 1.");
    counter!(name("logins_total"), "Logins at Vault, by outcome.");
    counter!(name("token_renewals_total"), "Renewals of the Vault token, by outcome.");
}
