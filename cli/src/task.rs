//! Running what a verb does, until it is done or somebody has enough of it.

use anyhow::{Result, bail};
use signet_runtime::shutdown::on_signal;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// Runs `work` with a token that the first Ctrl-C (or SIGTERM) cancels: it should then come to its end and say how far
/// it came. The second one drops it where it stands.
pub(crate) fn block_on<T, F>(work: impl FnOnce(CancellationToken) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(on_signal(work))? {
        Some(ended) => ended,
        None => bail!("interrupted before its end"),
    }
}
