//! What a crash left behind: intents without an outcome, and perhaps half a line.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
    time::SystemTime,
};

use serde::Deserialize;

use super::Record;

/// What the end of the log says about the last run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Recovery {
    /// Request ids of open intents, in the order they were written.
    open: Vec<String>,
    /// Bytes of an incomplete last line.
    torn: Option<u64>,
}

/// How much of the log's end is read. An intent stays open for as long as one signature takes, seconds at the
/// worst; this much holds those of more than 100,000 certificates.
const SCANNED_BYTES: u64 = 64 << 20;

/// A longer line is not ours, and is skipped piece by piece.
const MAX_LINE_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
}

impl Recovery {
    /// Reads the end of the log. A log that is absent, or is no regular file, says nothing.
    pub(super) fn scan(path: &Path) -> io::Result<Self> {
        let mut file = match path.metadata() {
            Ok(metadata) if metadata.is_file() => File::open(path)?,
            Ok(_) => return Ok(Self::default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let start = file.metadata()?.len().saturating_sub(SCANNED_BYTES);
        file.seek(SeekFrom::Start(start))?;
        Self::read(BufReader::new(file))
    }

    fn read(mut log: impl BufRead) -> io::Result<Self> {
        let (mut open, mut line, mut number) = (HashMap::new(), Vec::new(), 0_u64);
        let torn = loop {
            line.clear();
            if log.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
                break None;
            }
            let complete = line.ends_with(b"\n");
            if !complete && log.fill_buf()?.is_empty() {
                break Some(line.len() as u64);
            }
            number += 1;
            // What does not parse is the rest of a line that the start of the scan cut, or of a torn one.
            match serde_json::from_slice::<Head<'_>>(&line) {
                Ok(Head { event, request_id: Some(id) }) if event == "signing" => {
                    open.insert(id.into_owned(), number);
                }
                Ok(Head { event, request_id: Some(id) }) if closes(&event) => {
                    open.remove(&*id);
                }
                _ => {}
            }
        };
        let mut open: Vec<_> = open.into_iter().collect();
        open.sort_unstable_by_key(|(_, number)| *number);
        Ok(Self { open: open.into_iter().map(|(id, _)| id).collect(), torn })
    }

    /// The lines that bring the log in order, to be written before any other.
    ///
    /// # Errors
    /// One of them has no form in JSON.
    pub(super) fn lines(&self, now: SystemTime) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        if let Some(bytes) = self.torn {
            lines.push(b'\n');
            Record::Torn { bytes }.write_to(&mut lines, now)?;
        }
        for request_id in &self.open {
            Record::Abandoned { request_id }.write_to(&mut lines, now)?;
        }
        Record::Started.write_to(&mut lines, now)?;
        Ok(lines)
    }
}

fn closes(event: &str) -> bool {
    matches!(event, "issued" | "failed" | "abandoned")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &[u8]) -> Recovery {
        Recovery::read(log).unwrap()
    }

    fn line(event: &str, request_id: &str) -> String {
        format!("{{\"time\":\"t\",\"event\":\"{event}\",\"request_id\":\"{request_id}\",\"more\":[1]}}\n")
    }

    #[test]
    fn an_intent_is_open_until_its_outcome() {
        let signing = |id| line("signing", id);
        for (case, log, open) in [
            ("an empty log", String::new(), vec![]),
            ("only an intent", signing("a"), vec!["a"]),
            ("issued", signing("a") + &line("issued", "a"), vec![]),
            ("failed", signing("a") + &line("failed", "a"), vec![]),
            ("closed by an earlier start", signing("a") + &line("abandoned", "a"), vec![]),
            ("a refusal is no outcome", signing("a") + &line("refused", "a"), vec!["a"]),
            ("another's outcome", signing("a") + &line("issued", "b"), vec!["a"]),
            ("two, the younger closed", signing("a") + &signing("b") + &line("issued", "b"), vec!["a"]),
            ("order of intent", signing("z") + &signing("m") + &signing("a"), vec!["z", "m", "a"]),
            ("rubbish between", signing("a") + "\0\0{]\n\n" + &line("issued", "a"), vec![]),
            ("an escaped id", signing(r"q\u0022") + &line("issued", r"q\u0022"), vec![]),
        ] {
            assert_eq!(
                read(log.as_bytes()),
                Recovery { open: open.iter().map(|id| (*id).to_owned()).collect(), torn: None },
                "{case}"
            );
        }
    }

    #[test]
    fn a_torn_intent_is_no_intent_and_a_torn_outcome_no_outcome() {
        let (signing, issued) = (line("signing", "a").into_bytes(), line("issued", "a").into_bytes());
        for cut in 1..signing.len() {
            assert_eq!(read(&signing[..cut]), Recovery { open: vec![], torn: Some(cut as u64) });
        }
        for cut in 1..issued.len() {
            let log = [&signing, &issued[..cut]].concat();
            assert_eq!(read(&log), Recovery { open: vec!["a".to_owned()], torn: Some(cut as u64) });
        }
    }

    #[test]
    fn a_line_without_end_is_read_in_pieces() {
        let log = line("signing", "a")
            + &"x".repeat(MAX_LINE_BYTES as usize * 2 + 5)
            + "\n"
            + &line("signing", "b");

        assert_eq!(read(log.as_bytes()).open, ["a", "b"]);
    }

    #[test]
    fn only_the_end_of_a_large_log_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        std::fs::write(&path, line("signing", "long ago")).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len(SCANNED_BYTES + 10).unwrap();
        std::io::Write::write_all(&mut &file, format!("\n{}", line("signing", "just now")).as_bytes())
            .unwrap();

        assert_eq!(Recovery::scan(&path).unwrap().open, ["just now"]);
    }
}
