//! A runtime under test, and short ways to handle it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Workload, Workloads, Wrong};
use crate::runtime::{
    ContainerId, ContainerSpec, ContainerState, ContainerStatus, Exit, Runtime, RuntimeEvent, Sandbox, SandboxStatus,
};

/// A runtime under test.
pub(super) struct Bench<'a, R> {
    pub(super) runtime: R,
    pub(super) workloads: &'a Workloads,
    directory: PathBuf,
    rule: &'static str,
}

impl<'a, R: Runtime> Bench<'a, R> {
    pub(super) fn new(runtime: R, workloads: &'a Workloads, directory: &Path, rule: &'static str) -> Self {
        Self { runtime, workloads, directory: directory.join(format!("conformance-{rule}")), rule }
    }

    /// A pod with one container, as the node would present it.
    pub(super) fn sandbox(&self, pod: &str, workload: &Workload) -> Result<Sandbox, Wrong> {
        let uid = format!("{}-{pod}", self.rule.replace('_', "-"));
        let container = Container { name: "main".into(), image: Some(workload.image.clone()), ..Container::default() };
        let metadata = ObjectMeta {
            name: Some(pod.into()),
            namespace: Some("default".into()),
            uid: Some(uid.clone()),
            annotations: Some(workload.annotations.clone()),
            ..ObjectMeta::default()
        };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        let directory = self.directory.join(pod);
        std::fs::create_dir_all(&directory)?;
        let pod_object = Pod { metadata, spec: Some(spec), status: None };
        Ok(Sandbox { pod: Arc::new(pod_object), uid: uid.into(), attempt: 0, hostname: pod.into(), directory })
    }

    pub(super) async fn start_sandbox(&self, pod: &str, workload: &Workload) -> Result<SandboxStatus, Wrong> {
        Ok(self.runtime.start_sandbox(&self.sandbox(pod, workload)?).await?)
    }

    /// The container `main` of a sandbox.
    pub(super) async fn spec(
        &self,
        sandbox: &SandboxStatus,
        workload: &Workload,
        attempt: u32,
    ) -> Result<ContainerSpec, Wrong> {
        let image_id = self.runtime.pull(&workload.image, &Pod::default()).await?;
        Ok(ContainerSpec {
            sandbox: sandbox.id.clone(),
            name: "main".into(),
            attempt,
            image: workload.image.clone(),
            image_id,
            command: workload.command.clone(),
            args: Vec::new(),
            working_dir: String::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            termination_message: PathBuf::new(),
            spec: Arc::new(Container { name: "main".into(), ..Container::default() }),
        })
    }

    /// Starts one run of a workload in a sandbox.
    pub(super) async fn start(
        &self,
        sandbox: &SandboxStatus,
        workload: &Workload,
        attempt: u32,
    ) -> Result<ContainerId, Wrong> {
        let spec = self.spec(sandbox, workload, attempt).await?;
        Ok(self.runtime.start(&spec).await?)
    }

    /// Starts a workload in a sandbox of its own.
    pub(super) async fn run(&self, workload: &Workload) -> Result<(SandboxStatus, ContainerId), Wrong> {
        let sandbox = self.start_sandbox("pod", workload).await?;
        let id = self.start(&sandbox, workload, 0).await?;
        Ok((sandbox, id))
    }

    /// Runs a workload to its end.
    pub(super) async fn run_to_end(&self, workload: &Workload) -> Result<(SandboxStatus, ContainerId, Exit), Wrong> {
        let mut events = self.runtime.events();
        let (sandbox, id) = self.run(workload).await?;
        let exit = end_of(&mut events, &id).await?;
        Ok((sandbox, id, exit))
    }

    /// A container as the runtime lists it.
    pub(super) async fn listed(&self, id: &ContainerId) -> Result<Option<ContainerStatus>, Wrong> {
        let sandboxes = self.runtime.list().await?;
        let containers = sandboxes.into_iter().flat_map(|sandbox| sandbox.containers);
        Ok(containers.into_iter().find(|container| container.id == *id))
    }

    /// Removes everything.
    pub(super) async fn clean(&self) -> Result<(), Wrong> {
        for sandbox in self.runtime.list().await? {
            self.runtime.remove_sandbox(&sandbox.id).await?;
        }
        match std::fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Waits until a container's end is told.
pub(super) async fn end_of(events: &mut BoxStream<'_, RuntimeEvent>, id: &ContainerId) -> Result<Exit, Wrong> {
    while let Some(event) = events.next().await {
        if let (true, ContainerState::Exited(exit)) = (event.container == *id, event.state) {
            return Ok(exit);
        }
    }
    Err(Wrong::Unexpected("the events ended".into()))
}

/// Says what is wrong unless `right`.
pub(super) fn ensure(right: bool, why: impl FnOnce() -> String) -> Result<(), Wrong> {
    if right { Ok(()) } else { Err(Wrong::Unexpected(why())) }
}
