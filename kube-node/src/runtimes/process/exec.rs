//! Commands in containers: further processes with the container's environment, directory and paths. They end with it.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};

use super::command::Invocation;
use super::leader::{End, Leader};
use super::pipe::{self, PipeReader};
use super::spawn::{self, Streams};
use super::{Kept, ProcessRuntime, closed, log_read, terminal};
use crate::runtime::{
    ContainerId, ContainerState, Exec, ExecOutput, ExecRequest, ExecStreams, LogOptions, RuntimeError,
};
use crate::runtimes::book::is_running;

/// How much of a probe's output is kept. Source: kubelet `maxRespBodyLength`, `maxProbeMessageLength`.
const OUTPUT_BYTES_MAX: usize = 10 * 1024;

#[async_trait]
impl Exec for ProcessRuntime {
    async fn run(&self, id: &ContainerId, command: &[String], timeout: Duration) -> Result<ExecOutput, RuntimeError> {
        let kept = self.running(id)?;
        let (reader, writer) = io::pipe()?;
        let (stdout, stderr) = (writer.try_clone()?.into(), writer.into());
        let streams = Streams { stdin: Stdio::null(), stdout, stderr, terminal: None };
        let leader = self.command(&kept, command, streams)?;
        let mut output = Collected { reader: PipeReader::new(reader.into())?, bytes: Vec::new() };
        let mut container = kept.printed.clone();
        let in_time = tokio::select! {
            in_time = tokio::time::timeout(timeout, output.collect(&leader)) => in_time.is_ok(),
            () = closed(&mut container) => true,
        };
        if !in_time || !has_ended(&leader) {
            leader.kill();
        }
        leader.ended().await;
        let end = leader.reap();
        while output.reader.read_at_once() {
            output.keep();
        }
        Ok(ExecOutput { code: in_time.then(|| code(end)), output: output.bytes })
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let kept = self.running(id)?;
        if request.tty { self.exec_in_terminal(&kept, &request) } else { self.exec_with_pipes(&kept, &request) }
    }

    async fn attach(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let kept = self.running(id)?;
        let newest = LogOptions { follow: true, since: None, tail: Some(0) };
        let lines = log_read::read(&kept.record.log_directory(), newest, kept.printed.clone())?;
        let output = lines.filter_map(async |line| line.ok().map(|line| (line.error, line.text))).boxed();
        let (shared, id, mut printed) = (Arc::clone(&self.shared), id.clone(), kept.printed.clone());
        let exit = async move {
            closed(&mut printed).await;
            match shared.book.container(&id)?.0.state {
                ContainerState::Exited(exit) => Ok(exit.code),
                ContainerState::Running { .. } => Err(RuntimeError::NotFound(format!("container {id:?}"))),
            }
        };
        let stdin = kept.stdin.clone().filter(|_container_reads| request.stdin);
        Ok(ExecStreams { stdin, output, exit: exit.boxed(), resize: None })
    }
}

/// What a command prints, as far as it is kept.
struct Collected {
    reader: PipeReader,
    bytes: Vec<u8>,
}

impl Collected {
    /// Reads until the command has ended.
    async fn collect(&mut self, leader: &Leader) {
        loop {
            tokio::select! {
                () = self.reader.read() => self.keep(),
                () = leader.ended() => return,
            }
        }
    }

    fn keep(&mut self) {
        let room = OUTPUT_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes.extend(self.reader.chunk().iter().take(room));
    }
}

fn has_ended(leader: &Leader) -> bool {
    leader.ended().now_or_never().is_some()
}

fn code(end: End) -> i32 {
    match end {
        End::Seen { code, .. } => code,
        End::Unseen => 137,
    }
}

impl ProcessRuntime {
    fn running(&self, id: &ContainerId) -> Result<Arc<Kept>, RuntimeError> {
        let (status, kept) = self.shared.book.container(id)?;
        let not_running = || RuntimeError::Container(format!("container {id:?} is not running"));
        is_running(&status.state).then_some(kept).ok_or_else(not_running)
    }

    fn command(&self, kept: &Kept, command: &[String], streams: Streams) -> Result<Leader, RuntimeError> {
        let invocation = Invocation::of_command(command, &kept.record)?;
        Leader::start(&invocation, streams, None, Some(self.shared.watchdog_for_commands()?))
    }

    fn exec_with_pipes(&self, kept: &Kept, request: &ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let (stdin, feed) = spawn::stdin(request.stdin)?;
        let ((output, stdout), (error, stderr)) = (io::pipe()?, io::pipe()?);
        let streams = Streams { stdin, stdout: stdout.into(), stderr: stderr.into(), terminal: None };
        let leader = self.command(kept, &request.command, streams)?;
        let readers = [PipeReader::new(output.into())?, PipeReader::new(error.into())?];
        Ok(streams_of(Session { leader, readers: readers.into() }, kept, feed, None))
    }

    fn exec_in_terminal(&self, kept: &Kept, request: &ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let (theirs, ours) = terminal::open()?;
        let streams = Streams {
            stdin: theirs.try_clone()?.into(),
            stdout: theirs.try_clone()?.into(),
            stderr: theirs.try_clone()?.into(),
            terminal: Some(theirs),
        };
        let leader = self.command(kept, &request.command, streams)?;
        let feed = request.stdin.then(|| ours.try_clone().and_then(pipe::feed)).transpose()?;
        let resize = terminal::resize(ours.try_clone()?);
        let session = Session { leader, readers: vec![PipeReader::new(ours)?] };
        Ok(streams_of(session, kept, feed, Some(resize)))
    }
}

/// A command that people listen to.
struct Session {
    leader: Leader,
    /// Standard output, and standard error unless a terminal has both.
    readers: Vec<PipeReader>,
}

type Printed = mpsc::Sender<(bool, Bytes)>;

impl Session {
    /// Hands on what is printed until the command has ended.
    async fn talk(&mut self, printed: &Printed) {
        loop {
            let mut readers = self.readers.iter_mut();
            let (output, error) = (readers.next(), readers.next());
            let piece = tokio::select! {
                piece = next(output, false) => piece,
                piece = next(error, true) => piece,
                () = self.leader.ended() => return,
            };
            let _nobody_listens = printed.send(piece).await;
        }
    }

    /// Takes note of the end and hands on what is left.
    async fn finish(mut self, printed: &Printed) -> i32 {
        let end = self.leader.reap();
        for (reader, error) in self.readers.iter_mut().zip([false, true]) {
            while reader.read_at_once() {
                let _nobody_listens = printed.send((error, Bytes::copy_from_slice(reader.chunk()))).await;
            }
        }
        code(end)
    }
}

async fn next(reader: Option<&mut PipeReader>, error: bool) -> (bool, Bytes) {
    match reader {
        Some(reader) => {
            reader.read().await;
            (error, Bytes::copy_from_slice(reader.chunk()))
        }
        None => std::future::pending().await,
    }
}

/// Sets a command's streams going. It is killed when its container ends or when nobody waits for its end any more.
fn streams_of(
    mut session: Session,
    kept: &Kept,
    stdin: Option<mpsc::Sender<Bytes>>,
    resize: Option<mpsc::Sender<(u16, u16)>>,
) -> ExecStreams {
    const PIECES_UNREAD_MAX: usize = 16;
    let (printed, pieces) = mpsc::channel(PIECES_UNREAD_MAX);
    let (mut ended, exit) = oneshot::channel();
    let mut container = kept.printed.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = session.talk(&printed) => {}
            () = closed(&mut container) => {}
            () = ended.closed() => {}
        }
        if !has_ended(&session.leader) {
            session.leader.kill();
            session.leader.ended().await;
        }
        let code = session.finish(&printed).await;
        let _nobody_waits = ended.send(code);
    });
    let lost = |_lost| RuntimeError::Container("the command's end was lost with the runtime".into());
    let output = stream::unfold(pieces, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces))).boxed();
    let exit = async move { exit.await.map_err(lost) };
    ExecStreams { stdin, output, exit: exit.boxed(), resize }
}
