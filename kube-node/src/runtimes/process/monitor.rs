//! Watches one container: what it prints goes to its log, its end goes to the book.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Shared;
use super::leader::{End, Leader};
use super::log_file::{self, LogFile};
use super::pipe::PipeReader;
use super::record::{self, ContainerRecord, ExitRecord};
use crate::runtime::ContainerId;
use crate::runtimes::ring::LineCutter;

/// One container's watch, before it is begun.
pub(super) struct Monitor {
    shared: Arc<Shared>,
    record: ContainerRecord,
    leader: Arc<Leader>,
    stdout: Output,
    stderr: Output,
    log: LogFile,
    /// Told with everything printed; its end is the end of all that is watched here.
    printing: watch::Sender<()>,
}

/// What a container prints. Made before its process: once it has ended, nobody else holds its pipes and what is in them.
pub(super) struct Outputs {
    stdout: Output,
    stderr: Output,
}

impl Outputs {
    pub(super) fn of(record: &ContainerRecord) -> io::Result<Self> {
        Ok(Self { stdout: Output::of(record, "stdout", false)?, stderr: Output::of(record, "stderr", true)? })
    }
}

/// One of a container's two streams.
struct Output {
    reader: PipeReader,
    cutter: LineCutter,
    error: bool,
}

impl Output {
    fn of(record: &ContainerRecord, name: &str, error: bool) -> io::Result<Self> {
        Ok(Self { reader: PipeReader::new(record.read_pipe(name)?)?, cutter: LineCutter::default(), error })
    }

    /// The log's entries for what was read last.
    fn entries(&mut self, now: Timestamp) -> Vec<u8> {
        let mut entries = Vec::new();
        self.cutter.feed(self.reader.chunk(), |text| log_file::write_entry(&mut entries, now, self.error, text));
        entries
    }

    /// The log's entries for all that is there and will not be continued.
    fn last_entries(&mut self, now: Timestamp) -> Vec<u8> {
        let mut entries = Vec::new();
        while self.reader.read_at_once() {
            entries.append(&mut self.entries(now));
        }
        self.cutter.finish(|text| log_file::write_entry(&mut entries, now, self.error, text));
        entries
    }
}

impl Monitor {
    pub(super) fn of(
        shared: &Arc<Shared>,
        record: &ContainerRecord,
        Outputs { stdout, stderr }: Outputs,
        leader: Arc<Leader>,
        printing: watch::Sender<()>,
    ) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::clone(shared),
            record: record.clone(),
            leader,
            stdout,
            stderr,
            log: LogFile::open(&record.log_directory(), shared.log_limits)?,
            printing,
        })
    }

    /// Begins to watch, until the container ends or the runtime leaves it alone.
    pub(super) fn spawn(self) {
        tokio::spawn(async move {
            let leaving = self.shared.leaving.clone();
            leaving.run_until_cancelled(self.watch()).await;
        });
    }

    async fn watch(mut self) {
        loop {
            let output = tokio::select! {
                () = self.stdout.reader.read() => &mut self.stdout,
                () = self.stderr.reader.read() => &mut self.stderr,
                () = self.leader.ended() => break,
            };
            let entries = output.entries(self.shared.times.now());
            self.print(&entries);
        }
        self.finish();
    }

    /// Written at once rather than through a thread pool: it goes to the page cache, in microseconds.
    fn print(&mut self, entries: &[u8]) {
        if !entries.is_empty() {
            self.log.append(entries);
            let _nobody_follows = self.printing.send(());
        }
    }

    fn finish(mut self) {
        let end = self.leader.reap();
        let now = self.shared.times.now();
        for entries in [self.stdout.last_entries(now), self.stderr.last_entries(now)] {
            self.print(&entries);
        }
        let exit = match end {
            End::Seen { code, signal } => ExitRecord { code, signal, finished_at: now, message: String::new() },
            End::Unseen => record::unseen_end(now),
        };
        self.record.exit = Some(exit.clone());
        self.shared.directory.write_container(&self.record);
        let id = ContainerId(self.record.id.as_str().into());
        self.shared.book.end(&id, |started_at| exit.of_run(started_at));
    }
}
