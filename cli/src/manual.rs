//! `signet completions` and `signet man`: what a shell and a pager need, made from the command line itself.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::CommandLine;
use crate::outcome::Outcome;
use crate::output::Console;

/// Whose completions.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell that reads them
    shell: Shell,
}

/// Where the pages go.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory that is there; a page a command is written into it
    directory: PathBuf,
}

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  signet completions bash > /etc/bash_completion.d/signet
  signet completions zsh > ~/.zfunc/_signet";

pub(crate) const MAN_EXAMPLES: &str = "\
Example:
  signet man /usr/local/share/man/man1";

impl Completions {
    /// Prints the script.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        let mut script = vec![];
        clap_complete::generate(self.shell, &mut CommandLine::command(), "signet", &mut script);
        console.verbatim(&script)?;
        Ok(Outcome::Held)
    }
}

impl Man {
    /// Writes `signet.1`, `signet-token.1`, `signet-token-mint.1` and so on.
    pub(crate) fn run(self, console: &mut Console<'_>) -> Result<Outcome> {
        clap_mangen::generate_to(CommandLine::command(), &self.directory)
            .with_context(|| format!("cannot write manual pages into {}", self.directory.display()))?;
        console.note(format_args!("wrote the manual pages into {}", self.directory.display()))?;
        Ok(Outcome::Held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    #[test]
    fn a_shell_completes_nouns_and_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (mut script, mut notes) = (vec![], vec![]);
            let mut console = Console::into_memory(Format::Text, &mut script, &mut notes);
            Completions { shell }.run(&mut console).unwrap();
            drop(console);
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("inspect") && script.contains("mint"), "{shell}: {script}");
        }
    }

    #[test]
    fn every_verb_has_a_manual_page_with_its_example() {
        let directory = tempfile::tempdir().unwrap();
        let man = Man { directory: directory.path().to_owned() };
        man.run(&mut Console::into_memory(Format::Text, &mut vec![], &mut vec![])).unwrap();
        let page = std::fs::read_to_string(directory.path().join("signet-token-mint.1")).unwrap();
        assert!(page.contains("signet token mint"), "{page}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let man = Man { directory: "/nonexistent/man1".into() };
        let error = man.run(&mut Console::into_memory(Format::Text, &mut vec![], &mut vec![])).unwrap_err();
        assert!(format!("{error:#}").contains("/nonexistent/man1"), "{error:#}");
    }
}
