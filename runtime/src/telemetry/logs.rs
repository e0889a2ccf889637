//! Logs: one event a line, to standard error, for people or for machines.

use std::io;

use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

use super::TelemetryError;
use crate::config::{Setting, one_of};

/// Who reads the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A machine: a JSON object a line, the fields of the event beside its message.
    Json,
    /// A person.
    Text,
}

impl Setting for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        one_of(text, &[("json", Self::Json), ("text", Self::Text)])
    }
}

/// Sends what passes `filter` (`info,signet_ca=debug`) to standard error.
///
/// # Errors
/// [`TelemetryError::Filter`], or [`TelemetryError::Twice`].
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let logs = logs(format, filter, io::stderr)?;
    dispatcher::set_global_default(logs).map_err(|_| TelemetryError::Twice)
}

fn logs<W>(format: LogFormat, filter: &str, writer: W) -> Result<Dispatch, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = fmt().with_env_filter(parsed(filter)?).with_writer(writer);
    Ok(match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).into(),
        LogFormat::Text => builder.with_ansi(false).into(),
    })
}

/// The filter that `filter` writes.
pub(super) fn parsed(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::*;

    #[test]
    fn a_machine_reads_an_object_a_line_with_the_fields_beside_the_message() {
        let line = logged(LogFormat::Json, "info");

        assert!(line.starts_with('{') && line.ends_with("}\n") && line.lines().count() == 1, "{line}");
        for field in [r#""level":"INFO""#, r#""message":"issued""#, r#""serial":"7f""#, r#""timestamp":""#] {
            assert!(line.contains(field), "no {field} in {line}");
        }
    }

    #[test]
    fn a_person_reads_a_line_without_colours() {
        let line = logged(LogFormat::Text, "info");

        assert!(line.contains("INFO") && line.contains("issued serial=\"7f\""), "{line}");
        assert!(!line.contains('\x1b'), "{line}");
    }

    #[test]
    fn what_the_filter_does_not_let_through_is_not_logged() {
        assert_eq!(logged(LogFormat::Text, "info,signet_runtime=warn"), "");
    }

    #[test]
    fn a_filter_that_is_none_is_refused_with_an_example() {
        let message = logs(LogFormat::Text, "signet=loud", io::sink).unwrap_err().to_string();

        assert_eq!(message, "`signet=loud` is no log filter (want e.g. `info` or `info,signet_ca=debug`)");
    }

    /// What is written when one event is logged.
    fn logged(format: LogFormat, filter: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let logs = logs(format, filter, Arc::new(file.reopen().unwrap())).unwrap();
        dispatcher::with_default(&logs, || tracing::info!(serial = "7f", "issued"));
        fs::read_to_string(file.path()).unwrap()
    }
}
