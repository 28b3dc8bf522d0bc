//! What takes time: each action becomes a future that answers what came of it. None of them touches the node's memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use coracle_core::{Clock, Response, Status};
use futures::StreamExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod, Probe};
use tokio::task::spawn_blocking;

use super::launch::start_error;
use crate::pod::outcome::{Pull, StartError};
use crate::pod::span::{after, between, seconds};
use crate::pod::{Outcome, termination};
use crate::probe::ask::{self, Asked};
use crate::probe::{Finding, Purpose};
use crate::runtime::{
    ContainerId, ContainerSpec, Exit, ImageId, LogOptions, Runtime, RuntimeError, Sandbox, SandboxId,
};
use crate::volumes::{self, File, Plan, Source, TokenSource, mounts};

/// Something that is being done.
pub(super) type Job = BoxFuture<'static, Done>;

/// What was done.
pub(super) enum Done {
    /// For a pod.
    Pod(Arc<str>, Outcome),
    /// A probe was asked.
    Probed(Arc<str>, Probed),
    /// Requests were carried out.
    Written(Vec<(Arc<str>, Write, Result<Response, Status>)>),
    /// Something whose end nobody waits for.
    Nothing,
}

/// What a probe found.
pub(super) struct Probed {
    pub(super) container: usize,
    pub(super) id: ContainerId,
    pub(super) purpose: Purpose,
    pub(super) finding: Finding,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Status,
    Delete,
}

/// Makes volumes; asks for their tokens first.
pub(super) async fn mount(
    directory: PathBuf,
    mut plans: Vec<Plan>,
    tokens: Option<Arc<dyn TokenSource>>,
    now: Timestamp,
) -> Outcome {
    let mut refresh_at = None;
    for plan in &mut plans {
        match fetch_tokens(plan, tokens.as_deref(), now).await {
            Ok(at) => refresh_at = crate::pod::span::earliest(refresh_at, at),
            Err(why) => return Outcome::MountFailed(volumes::failed(&plan.name, &why)),
        }
    }
    match spawn_blocking(move || volumes::make(&directory, &plans)).await {
        Ok(Ok(())) => Outcome::Mounted(refresh_at),
        Ok(Err(why)) => Outcome::MountFailed(why),
        Err(error) => Outcome::MountFailed(error.to_string()),
    }
}

/// Puts tokens into a volume's files; answers when the first gets old: after four fifths of its time, as upstream's do.
async fn fetch_tokens(
    plan: &mut Plan,
    tokens: Option<&dyn TokenSource>,
    now: Timestamp,
) -> Result<Option<Timestamp>, String> {
    let Source::Files(payload) = &mut plan.source else { return Ok(None) };
    let mut refresh_at = None;
    for wish in std::mem::take(&mut payload.tokens) {
        let source = tokens.ok_or("this node has no source of service account tokens")?;
        let token = source.token(&wish).await?;
        refresh_at = crate::pod::span::earliest(refresh_at, Some(after(now, between(now, token.expires_at) / 5 * 4)));
        payload.files.insert(wish.path, File { data: token.token.into_bytes(), mode: wish.mode });
    }
    Ok(refresh_at)
}

pub(super) async fn unmount(directory: Option<PathBuf>) -> Outcome {
    if let Some(directory) = directory
        && let Ok(Err(error)) = spawn_blocking(move || volumes::remove(&directory)).await
    {
        tracing::warn!(%error, "the files of a pod could not be removed");
    }
    Outcome::Unmounted
}

pub(super) async fn start_sandbox(runtime: Arc<dyn Runtime>, sandbox: Sandbox) -> Outcome {
    match runtime.start_sandbox(&sandbox).await {
        Ok(status) => Outcome::SandboxStarted(status),
        Err(error) => Outcome::SandboxFailed(error.to_string()),
    }
}

/// Giving back is a courtesy: what cannot be given back goes with the sandbox.
pub(super) async fn release_sandbox(runtime: Arc<dyn Runtime>, id: SandboxId) -> Outcome {
    if let Err(error) = runtime.release_sandbox(&id).await {
        tracing::warn!(%error, sandbox = %id, "an ended pod's addresses could not be given back");
    }
    Outcome::SandboxReleased
}

pub(super) async fn remove_sandbox(runtime: Arc<dyn Runtime>, id: SandboxId) -> Outcome {
    Outcome::SandboxRemoved(runtime.remove_sandbox(&id).await.map_err(|error| error.to_string()))
}

pub(super) async fn pull(
    runtime: Arc<dyn Runtime>,
    clock: Arc<dyn Clock>,
    pod: Arc<Pod>,
    container: usize,
    image: String,
) -> Outcome {
    let began = clock.now();
    match runtime.pull(&image, &pod).await {
        Ok(id) => Outcome::Pulled(container, id, Pull::Took(between(began, clock.now()))),
        Err(error) => Outcome::PullFailed(container, error.to_string()),
    }
}

pub(super) fn present(container: usize, id: ImageId) -> Outcome {
    Outcome::Pulled(container, id, Pull::Present)
}

pub(super) async fn start(runtime: Arc<dyn Runtime>, container: usize, spec: ContainerSpec) -> Outcome {
    let prepare = (spec.mounts.clone(), spec.termination_message.clone());
    if !prepare.0.is_empty() {
        let prepared = spawn_blocking(move || prepare_files(&prepare.0, &prepare.1)).await;
        if let Ok(Err(error)) = prepared {
            let message = error.to_string();
            return Outcome::StartFailed(
                container,
                StartError { reason: StartError::CREATE, message, sandbox_lost: false },
            );
        }
    }
    match runtime.start(&spec).await {
        Ok(id) => Outcome::Started(container, id),
        Err(error) => Outcome::StartFailed(container, start_error(&error, &spec.sandbox.0)),
    }
}

/// The file for last words is there before the container is.
fn prepare_files(mounts: &[crate::runtime::Mount], message: &PathBuf) -> std::io::Result<()> {
    if let Some(parent) = message.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(message, b"")?;
    mounts::make_missing(mounts)
}

pub(super) async fn hook(asked: Asked, hook: LifecycleHandler, limit: Option<Duration>) -> Result<(), String> {
    let run = ask::hook(&asked, &hook);
    match limit {
        None => run.await,
        Some(limit) => match tokio::time::timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(format!("timed out after {}s", limit.as_secs())),
        },
    }
}

pub(super) async fn probe(uid: Arc<str>, container: usize, purpose: Purpose, asked: Asked, probe: Probe) -> Done {
    let finding = ask::probe(&asked, &probe).await;
    Done::Probed(uid, Probed { container, id: asked.id, purpose, finding })
}

pub(super) async fn resize(
    runtime: Arc<dyn Runtime>,
    container: usize,
    id: ContainerId,
    spec: Arc<Container>,
) -> Outcome {
    let result = runtime.resize(&id, &spec).await.map_err(|error| error.to_string());
    Outcome::Resized(container, spec, result)
}

/// Ends a container; a runtime that fails to is told again.
pub(super) async fn stop(
    runtime: Arc<dyn Runtime>,
    uid: Arc<str>,
    container: usize,
    id: ContainerId,
    grace: Duration,
) -> Done {
    loop {
        match runtime.stop(&id, grace).await {
            Ok(()) => return Done::Nothing,
            Err(RuntimeError::NotFound(_)) => return Done::Pod(uid, Outcome::Lost(container, id)),
            Err(error) => {
                tracing::warn!(%error, container = %id, "a container could not be ended");
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
    }
}

/// Reads what an ended container left to say.
pub(super) async fn last_words(
    runtime: Arc<dyn Runtime>,
    spec: Arc<Container>,
    file: Option<PathBuf>,
    id: ContainerId,
    exit: Exit,
) -> Outcome {
    let read = file.map(|file| spawn_blocking(move || std::fs::read(file)));
    let file = match read {
        Some(read) => read.await.ok().and_then(Result::ok).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut message = termination::of_file(&file);
    if termination::wants_log(&spec, exit.code, &file) {
        message = end_of_log(&*runtime, &id).await;
    }
    if message.is_empty() {
        message.clone_from(&exit.message);
    }
    Outcome::Exited(id, exit, message)
}

async fn end_of_log(runtime: &dyn Runtime, id: &ContainerId) -> String {
    let Some(logs) = runtime.logs() else { return String::new() };
    let options = LogOptions { tail: Some(termination::LOG_LINES_MAX), ..LogOptions::default() };
    let Ok(mut lines) = logs.logs(id, options).await else { return String::new() };
    let mut text = Vec::new();
    while let Some(Ok(line)) = lines.next().await {
        text.extend_from_slice(&line.text);
    }
    termination::of_log(&text)
}

/// How long a pre-stop hook may run: until its container is killed anyway.
pub(super) fn hook_limit(now: Timestamp, deadline: Timestamp) -> Duration {
    between(now, deadline) + seconds(2)
}
