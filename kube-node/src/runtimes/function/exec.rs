//! Commands in functions: answered by a handler that the embedder gives for the image.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::Shared;
use futures::{FutureExt as _, StreamExt as _, stream};

use super::{FunctionRuntime, Running, by_image};
use crate::runtime::{
    ContainerId, ContainerState, Exec, ExecOutput, ExecRequest, ExecStreams, LogOptions, RuntimeError,
};
use crate::runtimes::book::is_running;

#[async_trait]
impl Exec for FunctionRuntime {
    async fn run(&self, id: &ContainerId, command: &[String], timeout: Duration) -> Result<ExecOutput, RuntimeError> {
        let answer = self.answer(id, command)?;
        let late = ExecOutput { code: None, output: Vec::new() };
        Ok(tokio::time::timeout(timeout, answer).await.unwrap_or(late))
    }

    async fn exec(&self, id: &ContainerId, request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let answer: Shared<_> = self.answer(id, &request.command)?.shared();
        let output = answer.clone().map(|answer| (false, Bytes::from(answer.output)));
        let exit = answer.map(|answer| Ok(answer.code.unwrap_or(137)));
        Ok(ExecStreams { stdin: None, output: stream::once(output).boxed(), exit: exit.boxed(), resize: None })
    }

    async fn attach(&self, id: &ContainerId, _request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        let (_, running) = self.book.container(id)?;
        let lines = running.logs.read(LogOptions { follow: true, since: None, tail: Some(0) });
        let output = lines.filter_map(async |line| line.ok().map(|line| (line.error, line.text)));
        let (book, id, mut ended) = (self.book.clone(), id.clone(), running.ended.clone());
        let exit = async move {
            let _closed = ended.changed().await;
            match book.container(&id)?.0.state {
                ContainerState::Exited(exit) => Ok(exit.code),
                ContainerState::Running { .. } => Err(RuntimeError::NotFound(format!("container {id:?}"))),
            }
        };
        Ok(ExecStreams { stdin: None, output: output.boxed(), exit: exit.boxed(), resize: None })
    }
}

impl FunctionRuntime {
    fn answer(
        &self,
        id: &ContainerId,
        command: &[String],
    ) -> Result<futures::future::BoxFuture<'static, ExecOutput>, RuntimeError> {
        let (status, running) = self.book.container(id)?;
        if !is_running(&status.state) {
            return Err(RuntimeError::Container(format!("container {id:?} is not running")));
        }
        let Running { context, image, .. } = &*running;
        let what = || format!("commands in image {image:?} (give it a handler with FunctionRuntime::with_exec)");
        let unsupported = || RuntimeError::Unsupported { runtime: "function".into(), what: what() };
        let handler = by_image(&self.commands, image).ok_or_else(unsupported)?;
        Ok(handler(context.clone(), command.to_vec()))
    }
}
