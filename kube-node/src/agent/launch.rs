//! What a runtime is told of a container or sandbox: everything worked out. Reads the world, does nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coracle_core::World;
use k8s_openapi::api::core::v1::Pod;

use super::worker::Worker;
use super::{Files, Node};
use crate::environment::{command, environment};
use crate::pod::field::Surroundings;
use crate::pod::outcome::StartError;
use crate::runtime::{ContainerSpec, ImageId, Mount, RuntimeError, Sandbox};
use crate::volumes::{self, Plan, mounts};

/// Where a container's last words go, unless it says otherwise. Source: core/v1 `TerminationMessagePathDefault`.
const MESSAGE_PATH: &str = "/dev/termination-log";

impl Node {
    /// The directory of a pod; `None` if this node keeps no files.
    pub(super) fn directory(&self, uid: &str) -> Option<PathBuf> {
        match &self.files {
            Files::At(root) => Some(volumes::pod_directory(root, uid)),
            Files::None => None,
        }
    }

    /// The volumes of a pod.
    pub(super) fn plan(&self, worker: &Worker, world: &World) -> Result<Vec<Plan>, String> {
        self.with_surroundings(worker, |around| volumes::plan(&worker.pod, world, around))
    }

    /// The sandbox of a pod.
    pub(super) fn sandbox(&self, worker: &Worker) -> Sandbox {
        Sandbox {
            pod: worker.pod.clone(),
            uid: worker.uid.clone(),
            attempt: worker.seen.sandbox.attempt,
            hostname: hostname(&worker.pod),
            directory: self.directory(&worker.uid).unwrap_or_default(),
        }
    }

    /// A container of a pod.
    pub(super) fn container(&self, worker: &Worker, index: usize, world: &World) -> Result<ContainerSpec, StartError> {
        let (Some(member), Some(seen), Some(sandbox)) =
            (worker.members.get(index), worker.seen.containers.get(index), worker.seen.sandbox.id.clone())
        else {
            return Err(config("the pod has no such container".to_owned()));
        };
        let services = self.files != Files::None;
        let environment = self
            .with_surroundings(worker, |around| environment(&worker.pod, &member.spec, world, around, services))
            .map_err(config)?;
        let (command, args) = command(&member.spec, &environment);
        let directory = self.directory(&worker.uid);
        let message = directory.map(|pod| message_file(&pod, &member.spec.name, seen.attempt)).unwrap_or_default();
        let mut mounts = match services {
            true => mounts::mounts(&member.spec, &worker.host_paths, &environment).map_err(config)?,
            false => Vec::new(),
        };
        if services {
            let path = member.spec.termination_message_path.as_deref().unwrap_or(MESSAGE_PATH);
            mounts.push(Mount { host_path: message.clone(), container_path: path.to_owned(), read_only: false });
        }
        Ok(ContainerSpec {
            sandbox,
            name: member.spec.name.clone(),
            attempt: seen.attempt,
            image: member.image().to_owned(),
            image_id: seen.image.clone().unwrap_or_else(|| ImageId(Arc::from(member.image()))),
            command,
            args,
            working_dir: member.spec.working_dir.clone().unwrap_or_default(),
            env: environment.into_variables(),
            mounts,
            termination_message: message,
            spec: member.spec.clone(),
        })
    }

    /// The pod's addresses: the node's own, if it shares its network.
    pub(super) fn pod_addresses(&self, worker: &Worker) -> Vec<String> {
        if worker.pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true)) {
            return self.addresses.clone();
        }
        worker.seen.sandbox.addresses.iter().map(ToString::to_string).collect()
    }

    fn with_surroundings<T>(&self, worker: &Worker, use_: impl FnOnce(&Surroundings<'_>) -> T) -> T {
        let pod_addresses = self.pod_addresses(worker);
        use_(&Surroundings {
            pod_addresses: &pod_addresses,
            host_addresses: &self.addresses,
            allocatable: &self.capacity,
        })
    }
}

/// Where one run of a container leaves its last words.
pub(super) fn message_file(pod_directory: &Path, container: &str, attempt: u32) -> PathBuf {
    pod_directory.join("containers").join(container).join(attempt.to_string())
}

/// The pod's host name: its own wish, or its name. Source: kubelet `GeneratePodHostNameAndDomain`.
fn hostname(pod: &Pod) -> String {
    const LENGTH_MAX: usize = 63;
    let wished = pod.spec.as_ref().and_then(|spec| spec.hostname.as_deref()).filter(|name| !name.is_empty());
    let name = wished.or(pod.metadata.name.as_deref()).unwrap_or("");
    name.get(..LENGTH_MAX).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
}

fn config(message: String) -> StartError {
    StartError { reason: StartError::CONFIG, message, sandbox_lost: false }
}

/// How a pod shows that its runtime could not start a container.
pub(super) fn start_error(error: &RuntimeError, sandbox: &str) -> StartError {
    let (reason, sandbox_lost) = match error {
        RuntimeError::NotFound(what) => (StartError::CREATE, what == sandbox),
        RuntimeError::Image { .. } | RuntimeError::Unsupported { .. } => (StartError::CREATE, false),
        RuntimeError::Container(_) | RuntimeError::Io(_) => (StartError::RUN, false),
    };
    StartError { reason, message: error.to_string(), sandbox_lost }
}
