//! What simulated containers print and answer: told from their state, so nothing is stored.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};

use super::SimulatedRuntime;
use crate::runtime::{
    ContainerId, ContainerState, ContainerStatus, Exec, ExecOutput, ExecRequest, ExecStreams, Exit, LogLine,
    LogOptions, Logs, Runtime as _, RuntimeError, RuntimeEvent,
};
use crate::runtimes::book::is_running;
use crate::runtimes::ring;

fn lines(status: &ContainerStatus) -> Vec<LogLine> {
    let (started_at, exit) = match &status.state {
        ContainerState::Running { started_at } => (*started_at, None),
        ContainerState::Exited(exit) => (exit.started_at, Some(exit)),
    };
    let start = format!("{}: started (simulated), run {}\n", status.name, status.attempt);
    let mut lines = vec![ring::line(started_at, false, start.as_bytes())];
    lines.extend(exit.map(|exit| last_line(&status.name, exit)));
    lines
}

fn last_line(name: &str, exit: &Exit) -> LogLine {
    let text = format!("{name}: ended with exit code {}\n", exit.code);
    ring::line(exit.finished_at, exit.code != 0, text.as_bytes())
}

impl SimulatedRuntime {
    /// The end of a container, when it comes; `None` if the container is forgotten before.
    async fn wait(&self, id: &ContainerId) -> Option<Exit> {
        let mut events = self.events();
        if let ContainerState::Exited(exit) = self.node.book.container(id).ok()?.0.state {
            return Some(exit);
        }
        loop {
            match events.next().await? {
                RuntimeEvent { container, state: ContainerState::Exited(exit), .. } if container == *id => {
                    return Some(exit);
                }
                _of_others => {}
            }
        }
    }
}

#[async_trait]
impl Logs for SimulatedRuntime {
    async fn logs(
        &self,
        id: &ContainerId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine, RuntimeError>>, RuntimeError> {
        let (status, _) = self.node.book.container(id)?;
        let now = lines(&status);
        let skipped =
            options.tail.map_or(0, |tail| now.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX)));
        let now = stream::iter(now.into_iter().skip(skipped));
        let (runtime, id, name) = (self.clone(), id.clone(), status.name.clone());
        let later = async move { runtime.wait(&id).await.map(|exit| last_line(&name, &exit)) };
        let running = is_running(&status.state);
        let later = if options.follow && running {
            stream::once(later).filter_map(std::future::ready).boxed()
        } else {
            stream::empty().boxed()
        };
        let wanted = move |line: &LogLine| std::future::ready(options.since.is_none_or(|since| line.at >= since));
        Ok(now.chain(later).filter(wanted).map(Ok).boxed())
    }
}

#[async_trait]
impl Exec for SimulatedRuntime {
    async fn run(&self, id: &ContainerId, command: &[String], _timeout: Duration) -> Result<ExecOutput, RuntimeError> {
        let (status, _) = self.node.book.container(id)?;
        if !is_running(&status.state) {
            return Err(RuntimeError::Container(format!("container {id:?} is not running")));
        }
        let silent_success = ExecOutput { code: Some(0), output: Vec::new() };
        Ok(self.family.how.answer.as_ref().map_or(silent_success, |answer| answer(id, command)))
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let answer = self.run(id, &request.command, Duration::MAX).await?;
        let output = stream::iter([(false, Bytes::from(answer.output))]).boxed();
        let exit = std::future::ready(Ok(answer.code.unwrap_or(137))).boxed();
        Ok(ExecStreams { stdin: None, output, exit, resize: None })
    }

    async fn attach(&self, id: &ContainerId, _request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let options = LogOptions { follow: true, since: None, tail: Some(0) };
        let lines = Logs::logs(self, id, options).await?;
        let output = lines.filter_map(async |line| line.ok().map(|line| (line.error, line.text))).boxed();
        let (runtime, id) = (self.clone(), id.clone());
        let not_found = move |id: ContainerId| RuntimeError::NotFound(format!("container {id:?}"));
        let exit = async move { runtime.wait(&id).await.map(|exit| exit.code).ok_or_else(|| not_found(id)) };
        Ok(ExecStreams { stdin: None, output, exit: exit.boxed(), resize: None })
    }
}
