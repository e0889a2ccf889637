//! Files that a verb leaves behind: each whole or not at all, and none over another unasked.

use std::path::Path;

use anyhow::Result;
use signet_runtime::files::write_atomically;

use crate::outcome::Usage;
use crate::output::Console;

/// Before anything is done whose outcome nobody could keep. With `force` nothing is refused.
///
/// # Errors
/// One of the files is there: a fault of the command line.
#[allow(clippy::fn_params_excessive_bools, reason = "`--force` as it stands on the command line")]
pub(crate) fn refuse_to_overwrite(
    files: impl IntoIterator<Item = impl AsRef<Path>>,
    force: bool,
) -> Result<()> {
    let mut there = files.into_iter().filter(|file| !force && file.as_ref().symlink_metadata().is_ok());
    there.next().map_or(Ok(()), |file| {
        let file = file.as_ref().display();
        Err(Usage(format!("{file} is there already: move it away, or overwrite it with --force")).into())
    })
}

/// Writes the file with these permissions, and says so.
pub(crate) fn write(file: &Path, content: &[u8], mode: u32, console: &mut Console<'_>) -> Result<()> {
    write_atomically(file, content, mode)?;
    console.note(format_args!("wrote {}", file.display()))?;
    Ok(())
}
