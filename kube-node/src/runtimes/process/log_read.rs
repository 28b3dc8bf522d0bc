//! Reads a container's log from its files, across their turns, and follows it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use super::log_file::{numbers, parse_entry, path};
use crate::runtime::{LogLine, LogOptions, RuntimeError};

/// The lines wanted, oldest first. Files are read where the stream is polled: they are in the page cache as a rule.
pub(super) fn read(
    directory: &Path,
    options: LogOptions,
    printed: watch::Receiver<()>,
) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
    let (number, offset) = start(directory, options.tail)?;
    let mut reader = LogReader { directory: directory.to_owned(), number, file: None, entry: Vec::new() };
    reader.open(number, offset)?;
    let lines = stream::unfold((reader, printed), move |(mut reader, mut printed)| async move {
        loop {
            match reader.next_or_follow(options.follow, &mut printed).await {
                Ok(Some(line)) if options.since.is_some_and(|since| line.at < since) => {}
                Ok(line) => return line.map(|line| (Ok(line), (reader, printed))),
                Err(error) => return Some((Err(error.into()), (reader.broken(), printed))),
            }
        }
    });
    Ok(lines.boxed())
}

/// Where the last `tail` entries begin; without a limit, where the oldest file does.
fn start(directory: &Path, tail: Option<u64>) -> io::Result<(u64, u64)> {
    let numbers = numbers(directory);
    let oldest = numbers.first().copied().unwrap_or_default();
    let Some(mut wanted) = tail else { return Ok((oldest, 0)) };
    for number in numbers.into_iter().rev() {
        match last_entries(&path(directory, number), wanted) {
            Ok(Ok(offset)) => return Ok((number, offset)),
            Ok(Err(fewer)) => wanted = fewer,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok((oldest, 0))
}

/// Where the last `wanted` entries of a file begin, or how many are still wanted from earlier files. Read backwards.
fn last_entries(path: &Path, mut wanted: u64) -> io::Result<Result<u64, u64>> {
    const BLOCK_BYTES: u64 = 64 * 1024;
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK_BYTES);
        file.seek(SeekFrom::Start(begin))?;
        block.clear();
        file.by_ref().take(end - begin).read_to_end(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if wanted == 0 {
                return Ok(Ok(begin + index as u64 + 1));
            }
            wanted -= 1;
        }
        end = begin;
    }
    Ok(if wanted == 0 { Ok(0) } else { Err(wanted) })
}

struct LogReader {
    directory: PathBuf,
    number: u64,
    file: Option<BufReader<File>>,
    /// The beginning of an entry whose end is not there yet.
    entry: Vec<u8>,
}

impl LogReader {
    fn open(&mut self, number: u64, offset: u64) -> io::Result<()> {
        let file = match File::open(path(&self.directory, number)) {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(offset))?;
                Some(BufReader::new(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        (self.number, self.file) = (number, file);
        self.entry.clear();
        Ok(())
    }

    /// After an error there is nothing more to read.
    fn broken(mut self) -> Self {
        (self.file, self.number) = (None, u64::MAX);
        self
    }

    async fn next_or_follow(&mut self, follow: bool, printed: &mut watch::Receiver<()>) -> io::Result<Option<LogLine>> {
        loop {
            printed.mark_unchanged();
            // Asked before reading: what ended before has written everything.
            let more_may_come = follow && printed.has_changed().is_ok();
            if let Some(line) = self.next()? {
                return Ok(Some(line));
            }
            if !more_may_come {
                return Ok(None);
            }
            let _or_ended = printed.changed().await;
        }
    }

    /// The next line that is there.
    fn next(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.next_in_file()? {
                return Ok(Some(line));
            }
            let newer = numbers(&self.directory).into_iter().find(|number| *number > self.number);
            let Some(newer) = newer else { return Ok(None) };
            // More may have been written between our look at this file and the beginning of the next; now it is complete.
            if let Some(line) = self.next_in_file()? {
                return Ok(Some(line));
            }
            self.open(newer, 0)?;
        }
    }

    fn next_in_file(&mut self) -> io::Result<Option<LogLine>> {
        while let Some(entry) = self.entry()? {
            if let Some(line) = parse_entry(&entry) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn entry(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = &mut self.file else { return Ok(None) };
        file.read_until(b'\n', &mut self.entry)?;
        let whole = self.entry.pop_if(|byte| *byte == b'\n').is_some();
        Ok(whole.then(|| std::mem::take(&mut self.entry)))
    }
}
