//! Waiting for what other programs do, which can only be looked at again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Often enough that nobody waits, seldom enough that the one who is waited for gets on.
pub const PACE: Duration = Duration::from_millis(20);

/// The first answer of `look`, which is asked once and then at this pace until `deadline`; `None` if it has none.
pub async fn until<T>(
    deadline: Instant,
    pace: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(answer) = look().await {
            return Some(answer);
        }
        let now = Instant::now();
        if now >= deadline {
            return None;
        }
        sleep_until(deadline.min(now + pace)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_comes_late_is_seen_and_what_never_comes_is_given_up_at_the_deadline() {
        let began = Instant::now();
        for (name, comes_after, seen) in
            [("at once", 0, true), ("late", 3, true), ("at the last moment", 5, true), ("never", 6, false)]
        {
            let begins = Instant::now();
            let there = async || (begins.elapsed() >= comes_after * SECOND).then_some(());
            assert_eq!(until(begins + 5 * SECOND, 2 * SECOND, there).await.is_some(), seen, "{name}");
        }
        assert_eq!(began.elapsed(), (4 + 5 + 5) * SECOND);
    }
}
