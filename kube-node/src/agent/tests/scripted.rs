//! A runtime whose containers do what their image says: `run` runs until it is told to stop, `crash` fails after a second.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use coracle_core::Clock;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::runtime::*;

type Runs = Arc<Mutex<BTreeMap<ContainerId, (Arc<str>, Timestamp)>>>;

pub(super) struct Scripted {
    clock: Arc<dyn Clock>,
    runs: Runs,
    starts: Mutex<u32>,
    ill: AtomicBool,
    events: UnboundedSender<RuntimeEvent>,
    heard: Mutex<Option<UnboundedReceiver<RuntimeEvent>>>,
}

impl Scripted {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let (events, heard) = unbounded_channel();
        let heard = Mutex::new(Some(heard));
        Self { clock, runs: Runs::default(), starts: Mutex::default(), ill: AtomicBool::new(false), events, heard }
    }

    /// Probes fail from now on.
    pub(super) fn fall_ill(&self) {
        self.ill.store(true, Ordering::Relaxed);
    }

    pub(super) fn starts(&self) -> u32 {
        *self.starts.lock().unwrap()
    }
}

fn end(runs: &Runs, events: &UnboundedSender<RuntimeEvent>, clock: &dyn Clock, id: &ContainerId, code: i32) {
    let Some((uid, started_at)) = runs.lock().unwrap().remove(id) else { return };
    let exit =
        Exit { code, signal: 0, out_of_memory: false, started_at, finished_at: clock.now(), message: String::new() };
    let sandbox = SandboxId(uid.clone());
    let _sent = events.send(RuntimeEvent { sandbox, uid, container: id.clone(), state: ContainerState::Exited(exit) });
}

#[async_trait]
impl Runtime for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    async fn pull(&self, image: &str, _pod: &Pod) -> Result<ImageId, RuntimeError> {
        Ok(ImageId(image.into()))
    }

    async fn start_sandbox(&self, sandbox: &Sandbox) -> Result<SandboxStatus, RuntimeError> {
        Ok(SandboxStatus {
            id: SandboxId(sandbox.uid.clone()),
            uid: sandbox.uid.clone(),
            attempt: sandbox.attempt,
            addresses: vec!["10.0.0.1".parse().unwrap()],
            containers: Vec::new(),
        })
    }

    async fn start(&self, container: &ContainerSpec) -> Result<ContainerId, RuntimeError> {
        *self.starts.lock().unwrap() += 1;
        let id = ContainerId(format!("{}/{}/{}", container.sandbox, container.name, container.attempt).into());
        self.runs.lock().unwrap().insert(id.clone(), (container.sandbox.0.clone(), self.clock.now()));
        if container.image == "crash" {
            let (runs, events, clock, id) = (self.runs.clone(), self.events.clone(), self.clock.clone(), id.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                end(&runs, &events, &*clock, &id, 1);
            });
        }
        Ok(id)
    }

    async fn stop(&self, id: &ContainerId, _grace: Duration) -> Result<(), RuntimeError> {
        end(&self.runs, &self.events, &*self.clock, id, 143);
        Ok(())
    }

    async fn remove_container(&self, _id: &ContainerId) -> Result<(), RuntimeError> {
        Ok(())
    }

    async fn remove_sandbox(&self, _id: &SandboxId) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        let heard = self.heard.lock().unwrap().take().unwrap();
        futures::stream::unfold(heard, |mut heard| async move { Some((heard.recv().await?, heard)) }).boxed()
    }

    async fn list(&self) -> Result<Vec<SandboxStatus>, RuntimeError> {
        Ok(Vec::new())
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }
}

#[async_trait]
impl Exec for Scripted {
    async fn run(
        &self,
        _id: &ContainerId,
        _command: &[String],
        _timeout: Duration,
    ) -> Result<ExecOutput, RuntimeError> {
        let code = i32::from(self.ill.load(Ordering::Relaxed));
        Ok(ExecOutput { code: Some(code), output: Vec::new() })
    }

    async fn exec(&self, _id: &ContainerId, _request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        Err(RuntimeError::Unsupported { runtime: "scripted".into(), what: "exec".into() })
    }

    async fn attach(&self, _id: &ContainerId, _request: ExecRequest) -> Result<ExecStreams, RuntimeError> {
        Err(RuntimeError::Unsupported { runtime: "scripted".into(), what: "attach".into() })
    }
}
