//! How far long work has come: how fast it goes, how long it took, how long it will take.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Long work, shown on standard error while it lasts.
pub(crate) struct Progress {
    what: String,
    total: Option<u64>,
    done: u64,
    began: Instant,
    shown: Shown,
}

/// Whether a terminal shows what is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Watched {
    ByAPerson,
    ByNobody,
}

enum Shown {
    /// A bar that is drawn over and over.
    Bar(ProgressBar),
    /// Lines, and when the last one was written.
    Lines { last: Instant },
}

impl Progress {
    /// Begins. `total` is how much there is to do, where that is known.
    pub(super) fn new(what: &str, total: Option<u64>, watched: Watched) -> Self {
        let began = Instant::now();
        let shown = match watched {
            Watched::ByAPerson => Shown::Bar(bar(what, total)),
            Watched::ByNobody => Shown::Lines { last: began },
        };
        Self { what: what.to_owned(), total, done: 0, began, shown }
    }

    /// So much is done, all in all. May be called as often as one likes.
    pub(crate) fn at(&mut self, done: u64) {
        self.done = done;
        if let Some(line) = self.due_line() {
            // That nobody reads it is no reason to stop the work.
            drop(writeln!(io::stderr(), "{line}"));
        }
    }

    /// A line, where lines are written and the last one is a second old.
    fn due_line(&mut self) -> Option<String> {
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(self.done);
                None
            }
            Shown::Lines { last } if last.elapsed() < EVERY => None,
            Shown::Lines { last } => {
                *last = Instant::now();
                Some(self.line())
            }
        }
    }

    fn line(&self) -> String {
        let Self { what, total, done, began, .. } = self;
        let elapsed = began.elapsed();
        let (seconds, rate) = (elapsed.as_secs(), *done as f64 / elapsed.as_secs_f64());
        match total {
            Some(total) if rate > 0.0 => {
                let left = Duration::from_secs_f64(total.saturating_sub(*done) as f64 / rate);
                format!("{what}: {done} of {total}, {rate:.0}/s, {seconds} s, {} to go", HumanDuration(left))
            }
            Some(total) => format!("{what}: {done} of {total}, {seconds} s"),
            None => format!("{what}: {done}, {rate:.0}/s, {seconds} s"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            let template = "{msg} {wide_bar} {human_pos} of {human_len}, {per_sec}, {elapsed}, {eta} to go";
            (ProgressBar::new(total), template)
        }
        None => (ProgressBar::new_spinner(), "{spinner} {msg}: {human_pos}, {per_sec}, {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what.to_owned())
}

const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn where_nobody_watches_there_is_a_line_a_second() {
        let mut progress = Progress::new("issuing", Some(1000), Watched::ByNobody);
        let mut lines = vec![];
        for done in 1..=10 {
            advance(Duration::from_millis(250)).await;
            progress.done = done * 50;
            lines.extend(progress.due_line());
        }
        assert_eq!(
            lines,
            [
                "issuing: 200 of 1000, 200/s, 1 s, 4 seconds to go",
                "issuing: 400 of 1000, 200/s, 2 s, 3 seconds to go"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_known_is_not_said() {
        for (total, done, line) in
            [(None, 30, "watching: 30, 15/s, 2 s"), (Some(9), 0, "watching: 0 of 9, 2 s")]
        {
            let mut progress = Progress::new("watching", total, Watched::ByNobody);
            advance(Duration::from_secs(2)).await;
            progress.done = done;
            assert_eq!(progress.due_line().as_deref(), Some(line));
        }
    }
}
