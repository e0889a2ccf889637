//! Metrics: recorded through the `metrics` facade, rendered for Prometheus.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use super::TelemetryError;

/// Everything that this process has measured. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what histograms have gathered since the last call into their buckets; without it, and without
    /// anybody who renders, it piles up.
    pub(crate) fn fold(&self) {
        self.0.run_upkeep();
    }
}

/// Makes this process record its metrics. Call it before anything is measured.
///
/// Whatever ends in `_seconds` is counted in buckets from 0.1 ms, which tells a signature from a round trip,
/// to 30 s, which no request outlasts.
///
/// # Errors
/// [`TelemetryError::Twice`].
pub fn install_metrics() -> Result<Metrics, TelemetryError> {
    let recorder = builder().and_then(PrometheusBuilder::install_recorder);
    recorder.map(Metrics).map_err(|_| TelemetryError::Twice)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
}

const SECONDS: [f64; 17] =
    [1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[cfg(test)]
impl Metrics {
    /// What `measured` records, and nothing else of this process.
    pub(crate) fn of(measured: impl FnOnce()) -> Self {
        let recorder = builder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, measured);
        Self(recorder.handle())
    }
}

#[cfg(test)]
mod tests {
    use metrics::{counter, histogram};

    use super::*;

    #[test]
    fn durations_are_counted_in_buckets_and_other_histograms_are_not() {
        let metrics = Metrics::of(|| {
            histogram!("t_issue_duration_seconds").record(0.0007);
            histogram!("t_csr_bytes").record(700.0);
        });

        let text = metrics.render();

        assert!(text.contains("t_issue_duration_seconds_bucket{le=\"0.0005\"} 0\n"), "{text}");
        assert!(text.contains("t_issue_duration_seconds_bucket{le=\"0.001\"} 1\n"), "{text}");
        assert!(!text.contains("t_csr_bytes_bucket"), "{text}");
    }

    #[test]
    fn counters_are_rendered_under_their_own_name() {
        let metrics = Metrics::of(|| counter!("t_issued_total", "result" => "ok").increment(3));

        assert!(metrics.render().contains("t_issued_total{result=\"ok\"} 3\n"));
    }
}
