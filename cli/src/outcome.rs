//! How a command ended, in the exit codes that scripts rely on.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

/// What was asked has an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Yes: what was looked at is as it should be, what was to be done is done.
    Held,
    /// No.
    NotHeld,
}

/// The answer to a yes-or-no question.
impl From<bool> for Outcome {
    fn from(held: bool) -> Self {
        if held { Self::Held } else { Self::NotHeld }
    }
}

/// The command line makes no sense: clap finds most such faults, this is for those between the lines.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// 0 held, 1 did not hold, 2 usage, 3 could not ask.
pub(crate) fn exit_code(ended: &anyhow::Result<Outcome>) -> ExitCode {
    ExitCode::from(match ended {
        Ok(Outcome::Held) => 0,
        Ok(Outcome::NotHeld) => 1,
        Err(error) if error.is::<Usage>() => 2,
        Err(_) => 3,
    })
}

/// Whether nobody reads our output any more (`| head`): nothing that anybody needs to be told.
pub(crate) fn is_unheard(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_script_can_tell_no_from_could_not_ask() {
        for (ended, code) in [
            (Ok(true.into()), 0),
            (Ok(false.into()), 1),
            (Err(Usage("no such names".to_owned()).into()), 2),
            (Err(Usage("no such names".to_owned())).context("in a context"), 2),
            (Err(anyhow!("nobody listens")), 3),
        ] {
            assert_eq!(exit_code(&ended), ExitCode::from(code), "{ended:?}");
        }
    }
}
