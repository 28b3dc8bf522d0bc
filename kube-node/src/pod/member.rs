//! The containers of a pod in the order in which they come to life.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod};

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs to its end before the next one starts.
    Init,
    /// A restartable init container: runs beside the main ones and ends after them.
    Sidecar,
    /// What the pod is for.
    Main,
    /// Added to a running pod by a person, never restarted.
    Ephemeral,
}

/// One container of a pod.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is to the pod.
    pub role: Role,
    /// The container as the pod has it.
    pub spec: Arc<Container>,
}

impl Member {
    /// Where the container is in the pod, as Events name it: `spec.containers{web}`.
    #[must_use]
    pub fn field_path(&self) -> String {
        let list = match self.role {
            Role::Init | Role::Sidecar => "initContainers",
            Role::Main => "containers",
            Role::Ephemeral => "ephemeralContainers",
        };
        format!("spec.{list}{{{}}}", self.spec.name)
    }

    /// The image as the pod names it.
    #[must_use]
    pub fn image(&self) -> &str {
        self.spec.image.as_deref().unwrap_or("")
    }
}

/// Init containers and sidecars in order, then main containers, then ephemeral ones.
#[must_use]
pub fn members(pod: &Pod) -> Vec<Member> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let init = spec.init_containers.iter().flatten().map(|container| {
        let sidecar = container.restart_policy.as_deref() == Some("Always");
        (if sidecar { Role::Sidecar } else { Role::Init }, Arc::new(container.clone()))
    });
    let main = spec.containers.iter().map(|container| (Role::Main, Arc::new(container.clone())));
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let ephemeral = ephemeral.map(|container| (Role::Ephemeral, Arc::new(as_container(container))));
    init.chain(main).chain(ephemeral).map(|(role, spec)| Member { role, spec }).collect()
}

/// An ephemeral container has the fields of a container that make sense for it.
fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let from = ephemeral.clone();
    Container {
        name: from.name,
        image: from.image,
        image_pull_policy: from.image_pull_policy,
        command: from.command,
        args: from.args,
        working_dir: from.working_dir,
        env: from.env,
        env_from: from.env_from,
        security_context: from.security_context,
        stdin: from.stdin,
        stdin_once: from.stdin_once,
        tty: from.tty,
        termination_message_path: from.termination_message_path,
        termination_message_policy: from.termination_message_policy,
        volume_mounts: from.volume_mounts,
        ..Container::default()
    }
}
