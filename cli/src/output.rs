//! What the command says, and to whom: answers to standard output, as text or as JSON; whatever a person should know
//! besides to standard error.
//!
//! An answer is one value with two faces: `Display` for people, `Serialize` for scripts. The JSON is a promise, and
//! `docs/command-line.md` documents it. Text may be coloured freely: colours are stripped where no terminal reads.

mod check;
mod progress;
mod report;
mod style;
mod units;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::AutoStream;
#[cfg(test)]
use anstream::StripStream;
use clap::ValueEnum;
use serde::Serialize;

pub(crate) use check::Check;
pub(crate) use progress::Progress;
use progress::Watched;
pub(crate) use report::{Proof, Report};
pub(crate) use style::{BAD, BOLD, DIM, GOOD, styled};
pub(crate) use units::{
    json_moment, json_precise_moment, json_seconds, json_seconds_if_known, moment, precise_moment, printable,
    span, status_name, wrapped,
};

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For scripts: one object, or one a line where answers come one after another.
    Json,
}

/// Where the answers of a command go.
pub(crate) struct Console<'a> {
    format: Format,
    output: Box<dyn Write + 'a>,
    notes: Box<dyn Write + 'a>,
    watched: Watched,
}

impl Console<'_> {
    /// Standard output and standard error, with colours where a terminal reads them (and as `NO_COLOR` and
    /// `CLICOLOR_FORCE` have it).
    pub(crate) fn standard(format: Format) -> Self {
        Console {
            format,
            output: Box::new(AutoStream::auto(io::stdout())),
            notes: Box::new(AutoStream::auto(io::stderr())),
            watched: if io::stderr().is_terminal() { Watched::ByAPerson } else { Watched::ByNobody },
        }
    }

    /// Memory, in tests: nobody watches, and nothing is coloured.
    #[cfg(test)]
    pub(crate) fn into_memory<'a>(
        format: Format,
        output: &'a mut Vec<u8>,
        notes: &'a mut Vec<u8>,
    ) -> Console<'a> {
        Console {
            format,
            output: Box::new(StripStream::new(output)),
            notes: Box::new(StripStream::new(notes)),
            watched: Watched::ByNobody,
        }
    }

    /// The one answer of a command. Text is written as it is, so it ends its own lines.
    pub(crate) fn answer(&mut self, answer: &(impl Display + Serialize)) -> io::Result<()> {
        match self.format {
            Format::Text => write!(self.output, "{answer}")?,
            Format::Json => writeln!(self.output, "{}", serde_json::to_string_pretty(answer)?)?,
        }
        self.output.flush()
    }

    /// One of several answers that come one after another: in JSON each is a line.
    pub(crate) fn event(&mut self, event: &(impl Display + Serialize)) -> io::Result<()> {
        match self.format {
            Format::Text => write!(self.output, "{event}")?,
            Format::Json => writeln!(self.output, "{}", serde_json::to_string(event)?)?,
        }
        self.output.flush()
    }

    /// What is asked for as it is, whatever the format: a token, a key, a script.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.output.flush()
    }

    /// Something that a person should know, and that is no answer.
    pub(crate) fn note(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.notes, "signet: {text}")
    }

    /// Shows how far long work has come: a bar where a terminal watches, and else one line a second.
    pub(crate) fn progress(&self, what: &str, total: Option<u64>) -> Progress {
        Progress::new(what, total, self.watched)
    }

    /// Promises and their proofs, as they come.
    pub(crate) fn report(&mut self) -> Report<'_> {
        Report::new(self.format, &mut self.output, &mut self.notes)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use serde::ser::SerializeStruct;

    use super::*;

    struct Weather;

    impl Display for Weather {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            writeln!(f, "it {}", styled(BAD, "rains"))
        }
    }

    impl Serialize for Weather {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut object = serializer.serialize_struct("Weather", 1)?;
            object.serialize_field("rain", &true)?;
            object.end()
        }
    }

    #[test]
    fn an_answer_is_text_for_people_and_an_object_for_scripts() {
        for (format, expected) in [(Format::Text, "it rains\n"), (Format::Json, "{\n  \"rain\": true\n}\n")] {
            let mut output = vec![];
            Console::into_memory(format, &mut output, &mut vec![]).answer(&Weather).unwrap();
            assert_eq!(String::from_utf8(output).unwrap(), expected);
        }
    }

    #[test]
    fn each_of_several_answers_is_a_line_of_json() {
        let (mut output, mut notes) = (vec![], vec![]);
        let mut console = Console::into_memory(Format::Json, &mut output, &mut notes);
        console.event(&Weather).unwrap();
        console.event(&Weather).unwrap();
        drop(console);
        assert_eq!(String::from_utf8(output).unwrap(), "{\"rain\":true}\n{\"rain\":true}\n");
    }

    #[test]
    fn notes_stay_out_of_the_answer() {
        let (mut output, mut notes) = (vec![], vec![]);
        Console::into_memory(Format::Json, &mut output, &mut notes).note("made a key").unwrap();
        assert!(output.is_empty());
        assert_eq!(String::from_utf8(notes).unwrap(), "signet: made a key\n");
    }
}
