//! What a container printed, kept in memory: the newest lines, and a way to wait for more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;

use crate::runtime::{LogLine, LogOptions, RuntimeError};

/// The newest lines of one container. Older ones are dropped when there are too many.
pub(super) struct Ring {
    lines: Mutex<Lines>,
    /// Changes with every line; closed when the container has ended.
    written: watch::Sender<bool>,
    lines_max: usize,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    /// How many were dropped, so that the n-th line ever printed is at `n - dropped`.
    dropped: u64,
}

impl Ring {
    pub(super) fn new(lines_max: usize) -> Self {
        Self { lines: Mutex::default(), written: watch::Sender::new(false), lines_max: lines_max.max(1) }
    }

    /// Adds a line and wakes who follows.
    pub(super) fn push(&self, line: LogLine) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.kept.len() == self.lines_max {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        drop(lines);
        self.written.send_modify(|_ended| {});
    }

    /// No more lines will come.
    pub(super) fn close(&self) {
        self.written.send_modify(|ended| *ended = true);
    }

    fn line(&self, number: u64) -> Option<(u64, LogLine)> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = number.max(lines.dropped);
        let index = usize::try_from(number - lines.dropped).ok()?;
        lines.kept.get(index).map(|line| (number, line.clone()))
    }

    /// The number of the first line wanted.
    fn first(&self, options: &LogOptions) -> u64 {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let end = lines.dropped + lines.kept.len() as u64;
        options.tail.map_or(lines.dropped, |tail| end.saturating_sub(tail).max(lines.dropped))
    }

    /// The lines wanted, each made at the moment it is asked for.
    pub(super) fn read(self: &Arc<Self>, options: LogOptions) -> BoxStream<'static, Result<LogLine, RuntimeError>> {
        let reader = Reader { next: self.first(&options), written: self.written.subscribe(), ring: Arc::clone(self) };
        let lines = stream::unfold(reader, move |mut reader| async move {
            loop {
                let line = if options.follow { reader.follow().await } else { reader.step() }?;
                if options.since.is_none_or(|since| line.at >= since) {
                    return Some((Ok(line), reader));
                }
            }
        });
        lines.boxed()
    }
}

struct Reader {
    ring: Arc<Ring>,
    next: u64,
    written: watch::Receiver<bool>,
}

impl Reader {
    fn step(&mut self) -> Option<LogLine> {
        let (number, line) = self.ring.line(self.next)?;
        self.next = number + 1;
        Some(line)
    }

    async fn follow(&mut self) -> Option<LogLine> {
        loop {
            let ended = *self.written.borrow_and_update();
            if let Some(line) = self.step() {
                return Some(line);
            }
            if ended || self.written.changed().await.is_err() {
                return None;
            }
        }
    }
}

/// Cuts what is printed into lines, keeping an unfinished one until its rest comes.
#[derive(Debug, Default)]
pub(super) struct LineCutter(Vec<u8>);

/// Longer lines are handed on in pieces. Source: containerd's `max_container_log_line_size`.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

impl LineCutter {
    /// Tells each finished line with its newline, and full pieces of endless ones without.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut tell: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.0.len().min(LINE_BYTES_MAX - 1);
            let window = bytes.get(..room).unwrap_or(bytes);
            let (length, finished) = match window.iter().position(|byte| *byte == b'\n') {
                Some(newline) => (newline + 1, true),
                None => (window.len(), window.len() == room),
            };
            let (piece, rest) = bytes.split_at(length);
            bytes = rest;
            match (finished, self.0.is_empty()) {
                (true, true) => tell(piece),
                (true, false) => {
                    self.0.extend_from_slice(piece);
                    tell(&self.0);
                    self.0.clear();
                }
                (false, _) => self.0.extend_from_slice(piece),
            }
        }
    }

    /// Tells what is left of an unfinished line.
    pub(super) fn finish(&mut self, tell: impl FnOnce(&[u8])) {
        if !self.0.is_empty() {
            tell(&std::mem::take(&mut self.0));
        }
    }
}

/// A line as a log keeps it.
pub(super) fn line(at: jiff::Timestamp, error: bool, text: &[u8]) -> LogLine {
    LogLine { at, error, text: Bytes::copy_from_slice(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_cut(chunks: &[&str], expected: &[&str]) {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        for chunk in chunks {
            cutter.feed(chunk.as_bytes(), |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        cutter.finish(|line| lines.push(String::from_utf8_lossy(line).into_owned()));
        assert_eq!(lines, expected);
    }

    #[test]
    fn output_is_cut_into_lines_however_it_arrives() {
        check_cut(&["a\nb\n"], &["a\n", "b\n"]);
        check_cut(&["a", "b", "\n\nc"], &["ab\n", "\n", "c"]);
        check_cut(&[], &[]);
        let long = "x".repeat(LINE_BYTES_MAX);
        check_cut(&[&long, "y\n"], &[&long, "y\n"]);
        check_cut(&["z", &long, "\n"], &[&format!("z{}", &long[1..]), "x\n"]);
    }

    fn numbered(count: i64, lines_max: usize) -> Arc<Ring> {
        let ring = Arc::new(Ring::new(lines_max));
        for second in 0..count {
            ring.push(line(jiff::Timestamp::from_second(second).unwrap(), false, second.to_string().as_bytes()));
        }
        ring.close();
        ring
    }

    async fn check_read(ring: Arc<Ring>, options: LogOptions, expected: &[&str]) {
        let lines: Vec<_> = ring.read(options).map(|line| line.unwrap().text).collect().await;
        assert_eq!(lines, expected);
    }

    #[tokio::test]
    async fn the_newest_lines_are_kept_and_chosen_from() {
        let since = Some(jiff::Timestamp::from_second(4).unwrap());
        check_read(numbered(5, 3), LogOptions::default(), &["2", "3", "4"]).await;
        check_read(numbered(5, 9), LogOptions { tail: Some(2), ..Default::default() }, &["3", "4"]).await;
        check_read(numbered(5, 9), LogOptions { tail: Some(0), ..Default::default() }, &[]).await;
        check_read(numbered(6, 9), LogOptions { since, ..Default::default() }, &["4", "5"]).await;
        check_read(numbered(2, 9), LogOptions { follow: true, ..Default::default() }, &["0", "1"]).await;
    }
}
