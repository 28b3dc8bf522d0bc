//! A container's log: lines as the CRI spells them, in files of bounded size and number.
//!
//! ```text
//! log/7.log   2026-01-01T00:00:00.000000000Z stdout F a whole line
//! log/8.log   2026-01-01T00:00:01.000000000Z stderr P a piece of a line, which the next entry continues
//! ```
//!
//! Files are numbered upwards and never renamed, so who reads one only has to look for the next number.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::runtime::LogLine;
use crate::runtimes::ring;

/// How large logs may become. Source: kubelet `containerLogMaxSize` and `containerLogMaxFiles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// How large one file may become before the next one is begun. Default 10 MiB.
    pub file_bytes_max: u64,
    /// How many files of one container are kept; at least one. Default 5.
    pub files_max: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { file_bytes_max: 10 * 1024 * 1024, files_max: 5 }
    }
}

/// The newest file of a log, open for appending.
pub(super) struct LogFile {
    directory: PathBuf,
    limits: LogLimits,
    number: u64,
    file: File,
    bytes: u64,
}

impl LogFile {
    /// Goes on where the log was left.
    pub(super) fn open(directory: &Path, limits: LogLimits) -> io::Result<Self> {
        let number = numbers(directory).last().copied().unwrap_or_default();
        let file = File::options().create(true).append(true).open(path(directory, number))?;
        let bytes = file.metadata()?.len();
        Ok(Self { directory: directory.to_owned(), limits, number, file, bytes })
    }

    /// Adds whole entries. If the disk is full they are lost; the container goes on.
    pub(super) fn append(&mut self, entries: &[u8]) {
        let written = self.turn_over(entries.len() as u64).and_then(|()| self.file.write_all(entries));
        match written {
            Ok(()) => self.bytes += entries.len() as u64,
            Err(error) => tracing::warn!(log = %self.directory.display(), %error, "cannot write the log"),
        }
    }

    fn turn_over(&mut self, more: u64) -> io::Result<()> {
        if self.bytes == 0 || self.bytes + more <= self.limits.file_bytes_max {
            return Ok(());
        }
        let next = self.number + 1;
        self.file = File::options().create(true).append(true).open(path(&self.directory, next))?;
        (self.number, self.bytes) = (next, 0);
        if let Some(oldest) = next.checked_sub(self.limits.files_max.max(1)) {
            let _may_be_gone = fs::remove_file(path(&self.directory, oldest));
        }
        Ok(())
    }
}

pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number}.log"))
}

/// The numbers of a log's files, ascending.
pub(super) fn numbers(directory: &Path) -> Vec<u64> {
    let files = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let number = |file: fs::DirEntry| file.file_name().to_str()?.strip_suffix(".log")?.parse().ok();
    let mut numbers: Vec<u64> = files.filter_map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// Adds one line, or a piece of one if it does not end.
pub(super) fn write_entry(entries: &mut Vec<u8>, at: Timestamp, error: bool, text: &[u8]) {
    let stream = if error { "stderr" } else { "stdout" };
    let (tag, text) = text.strip_suffix(b"\n").map_or(("P", text), |line| ("F", line));
    entries.extend_from_slice(format!("{at:.9} {stream} {tag} ").as_bytes());
    entries.extend_from_slice(text);
    entries.push(b'\n');
}

/// Reads an entry without its newline; `None` if it is none.
pub(super) fn parse_entry(entry: &[u8]) -> Option<LogLine> {
    let mut parts = entry.splitn(4, |byte| *byte == b' ');
    let at = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let error = parts.next()? == b"stderr";
    let whole = parts.next()? == b"F";
    let mut text = parts.next()?.to_vec();
    if whole {
        text.push(b'\n');
    }
    Some(ring::line(at, error, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: bool, text: &str, expected: &str) {
        let mut entries = Vec::new();
        write_entry(&mut entries, Timestamp::UNIX_EPOCH, error, text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&entries), expected);
        let line = parse_entry(entries.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!(line, ring::line(Timestamp::UNIX_EPOCH, error, text.as_bytes()));
    }

    #[test]
    fn entries_are_spelled_as_the_cri_does_and_read_back() {
        check(false, "two words\n", "1970-01-01T00:00:00.000000000Z stdout F two words\n");
        check(true, "\n", "1970-01-01T00:00:00.000000000Z stderr F \n");
        check(false, "a piece", "1970-01-01T00:00:00.000000000Z stdout P a piece\n");
        assert_eq!(parse_entry(b"torn"), None);
    }
}
