//! What the kernel knows of this process: processor time, memory and start, under Prometheus' usual names.

use std::fs;

use rustix::{
    param::{clock_ticks_per_second, page_size},
    time::{ClockId, clock_gettime},
};

/// The metrics in Prometheus' text format. One that the kernel does not tell is left out.
pub(super) fn render() -> String {
    let metrics = [
        ("process_cpu_seconds_total", "counter", "processor time, of user and system", Some(cpu_seconds())),
        ("process_resident_memory_bytes", "gauge", "resident memory", resident_bytes()),
        ("process_start_time_seconds", "gauge", "when the process started, since 1970", start_seconds()),
    ];
    let known = metrics.into_iter().filter_map(|(name, kind, help, value)| Some((name, kind, help, value?)));
    known
        .map(|(name, kind, help, value)| {
            format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n")
        })
        .collect()
}

/// By the process' own clock, which counts nanoseconds where `/proc` counts hundredths of a second.
#[allow(clippy::cast_precision_loss, reason = "a float of seconds is what Prometheus takes")]
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// proc_pid_statm(5): the second number is resident pages.
#[allow(clippy::cast_precision_loss, reason = "a float of bytes is what Prometheus takes")]
fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some((pages * page_size() as u64) as f64)
}

/// proc_pid_stat(5): field 22, in clock ticks since boot; proc_stat(5): `btime`, the boot in seconds since
/// 1970.
#[allow(clippy::cast_precision_loss, reason = "a float of seconds is what Prometheus takes")]
fn start_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = stat.rsplit_once(')')?; // the name may hold spaces and brackets; field 3 follows
    let ticks: u64 = after_name.split_whitespace().nth(22 - 3)?.parse().ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 = machine.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot as f64 + ticks as f64 / clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use signet_identity::Clock;

    use super::*;
    use crate::SystemClock;

    #[test]
    fn all_three_are_rendered_with_their_type() {
        let text = render();

        for line in [
            "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total ",
            "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes ",
            "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds ",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = cpu_seconds();
        let mut sum = 0u64;
        while cpu_seconds() < before + 0.01 {
            sum = sum.wrapping_mul(3).wrapping_add(1);
        }
        assert!(std::hint::black_box(sum) > 0);
    }

    #[test]
    fn resident_memory_grows_by_what_is_touched() {
        let before = resident_bytes().unwrap();
        let touched = std::hint::black_box(vec![1u8; 64 << 20]);

        assert!(resident_bytes().unwrap() > before + 32.0 * 1024.0 * 1024.0);
        drop(touched);
    }

    #[test]
    fn this_process_started_a_moment_ago() {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let start = start_seconds().unwrap();

        assert!((now - 600.0..=now + 2.0).contains(&start), "{start} against {now}");
    }
}
