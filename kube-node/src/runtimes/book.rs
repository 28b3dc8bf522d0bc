//! What every runtime keeps: its sandboxes, their containers, and who wants to hear of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::runtime::{
    ContainerId, ContainerSpec, ContainerState, ContainerStatus, Exit, RuntimeError, RuntimeEvent, Sandbox, SandboxId,
    SandboxStatus,
};

/// How many events a reader may leave unread before it is cut off.
const EVENTS_UNREAD_MAX: usize = 65_536;

/// The name of a pod's sandbox: the same each time it is asked for.
pub(super) fn sandbox_id(uid: &str, attempt: u32) -> SandboxId {
    SandboxId(format!("{uid}.{attempt}").into())
}

/// The name of one run of a container, in which its sandbox's name can be found again.
pub(super) fn container_id(sandbox: &SandboxId, name: &str, attempt: u32) -> ContainerId {
    ContainerId(format!("{sandbox}.{name}.{attempt}").into())
}

/// Container names are DNS labels and attempts are numbers, so the last two dots are ours.
fn sandbox_of(id: &ContainerId) -> Option<SandboxId> {
    let mut parts = id.0.rsplitn(3, '.');
    let (_attempt, _name) = (parts.next()?, parts.next()?);
    Some(SandboxId(parts.next()?.into()))
}

/// One sandbox: what the world may know of it, what the runtime itself keeps (`S`), and its containers with theirs (`C`).
pub(super) struct SandboxEntry<S, C> {
    pub(super) uid: Arc<str>,
    pub(super) attempt: u32,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) own: S,
    pub(super) containers: Vec<(ContainerStatus, C)>,
}

/// All sandboxes and containers of a runtime. Every change and its event happen under one lock, so nobody sees them apart.
pub(super) struct Book<S, C>(Mutex<Pages<S, C>>);

struct Pages<S, C> {
    sandboxes: BTreeMap<SandboxId, SandboxEntry<S, C>>,
    readers: Vec<mpsc::Sender<RuntimeEvent>>,
}

impl<S, C> Default for Book<S, C> {
    fn default() -> Self {
        Self(Mutex::new(Pages { sandboxes: BTreeMap::new(), readers: Vec::new() }))
    }
}

impl<S: Clone, C: Clone> Book<S, C> {
    fn pages(&self) -> MutexGuard<'_, Pages<S, C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds a sandbox or enters what `make` makes.
    pub(super) fn open(
        &self,
        sandbox: &Sandbox,
        make: impl FnOnce(&SandboxId) -> Result<(Vec<IpAddr>, S), RuntimeError>,
    ) -> Result<SandboxStatus, RuntimeError> {
        let id = sandbox_id(&sandbox.uid, sandbox.attempt);
        let mut pages = self.pages();
        if let Some(entry) = pages.sandboxes.get(&id) {
            return Ok(entry.status(&id));
        }
        let (addresses, own) = make(&id)?;
        let (uid, attempt) = (Arc::clone(&sandbox.uid), sandbox.attempt);
        let entry = SandboxEntry { uid, attempt, addresses, own, containers: Vec::new() };
        let status = entry.status(&id);
        pages.sandboxes.insert(id, entry);
        Ok(status)
    }

    /// Enters a sandbox as it was found, with its containers, without telling anyone.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(super) fn adopt(&self, id: SandboxId, entry: SandboxEntry<S, C>) {
        self.pages().sandboxes.insert(id, entry);
    }

    /// What the runtime keeps of a sandbox.
    pub(super) fn sandbox(&self, id: &SandboxId) -> Result<(Vec<IpAddr>, S), RuntimeError> {
        let pages = self.pages();
        let entry = pages.sandboxes.get(id).ok_or_else(|| RuntimeError::NotFound(format!("sandbox {id:?}")))?;
        Ok((entry.addresses.clone(), entry.own.clone()))
    }

    /// The run of a container that was started before under the same name and attempt.
    pub(super) fn started(&self, spec: &ContainerSpec) -> Option<ContainerId> {
        let id = container_id(&spec.sandbox, &spec.name, spec.attempt);
        self.container(&id).ok().map(|_found| id)
    }

    /// Enters a container that runs from now on.
    pub(super) fn begin(
        &self,
        spec: &ContainerSpec,
        started_at: Timestamp,
        own: C,
    ) -> Result<ContainerId, RuntimeError> {
        let id = container_id(&spec.sandbox, &spec.name, spec.attempt);
        let mut pages = self.pages();
        let not_found = || RuntimeError::NotFound(format!("sandbox {:?}", spec.sandbox));
        let entry = pages.sandboxes.get_mut(&spec.sandbox).ok_or_else(not_found)?;
        let state = ContainerState::Running { started_at };
        let status = ContainerStatus {
            id: id.clone(),
            name: spec.name.clone(),
            attempt: spec.attempt,
            image_id: spec.image_id.clone(),
            state: state.clone(),
        };
        let uid = Arc::clone(&entry.uid);
        entry.containers.push((status, own));
        pages.tell(RuntimeEvent { sandbox: spec.sandbox.clone(), uid, container: id.clone(), state });
        Ok(id)
    }

    /// Enters the end of a container, the first time it is told; says whether it was.
    pub(super) fn end(&self, id: &ContainerId, exit: impl FnOnce(Timestamp) -> Exit) -> bool {
        let Some(sandbox) = sandbox_of(id) else { return false };
        let mut pages = self.pages();
        let Some(entry) = pages.sandboxes.get_mut(&sandbox) else { return false };
        let uid = Arc::clone(&entry.uid);
        let Some((status, _)) = entry.containers.iter_mut().find(|(status, _)| status.id == *id) else { return false };
        let ContainerState::Running { started_at } = status.state else { return false };
        status.state = ContainerState::Exited(exit(started_at));
        let state = status.state.clone();
        pages.tell(RuntimeEvent { sandbox, uid, container: id.clone(), state });
        true
    }

    /// One container.
    pub(super) fn container(&self, id: &ContainerId) -> Result<(ContainerStatus, C), RuntimeError> {
        let not_found = || RuntimeError::NotFound(format!("container {id:?}"));
        let pages = self.pages();
        let entry = sandbox_of(id).and_then(|sandbox| pages.sandboxes.get(&sandbox)).ok_or_else(not_found)?;
        entry.containers.iter().find(|(status, _)| status.id == *id).cloned().ok_or_else(not_found)
    }

    /// The sandbox in which a container is, and its runtime's own part.
    pub(super) fn sandbox_of(&self, id: &ContainerId) -> Result<(Vec<IpAddr>, S), RuntimeError> {
        let sandbox = sandbox_of(id).ok_or_else(|| RuntimeError::NotFound(format!("container {id:?}")))?;
        self.sandbox(&sandbox)
    }

    /// Forgets an ended container and answers what the runtime kept of it.
    pub(super) fn forget_container(&self, id: &ContainerId) -> Result<Option<C>, RuntimeError> {
        let mut pages = self.pages();
        let entry = sandbox_of(id).and_then(|sandbox| pages.sandboxes.get_mut(&sandbox));
        let Some(entry) = entry else { return Ok(None) };
        let Some(index) = entry.containers.iter().position(|(status, _)| status.id == *id) else { return Ok(None) };
        let running = entry.containers.get(index).is_some_and(|(status, _)| is_running(&status.state));
        if running {
            return Err(RuntimeError::Container(format!("container {id:?} is running")));
        }
        Ok(Some(entry.containers.swap_remove(index).1))
    }

    /// The containers of a sandbox that still run.
    pub(super) fn running_in(&self, id: &SandboxId) -> Vec<ContainerId> {
        let pages = self.pages();
        let containers = pages.sandboxes.get(id).map(|entry| entry.containers.iter()).into_iter().flatten();
        containers.filter(|(status, _)| is_running(&status.state)).map(|(status, _)| status.id.clone()).collect()
    }

    /// Takes a sandbox its addresses, which others may have from then on.
    pub(super) fn release(&self, id: &SandboxId) -> Vec<IpAddr> {
        let mut pages = self.pages();
        pages.sandboxes.get_mut(id).map(|entry| std::mem::take(&mut entry.addresses)).unwrap_or_default()
    }

    /// Forgets a sandbox and answers all that was kept of it.
    pub(super) fn forget_sandbox(&self, id: &SandboxId) -> Option<SandboxEntry<S, C>> {
        self.pages().sandboxes.remove(id)
    }

    pub(super) fn list(&self) -> Vec<SandboxStatus> {
        self.pages().sandboxes.iter().map(|(id, entry)| entry.status(id)).collect()
    }

    /// What happens from now on.
    pub(super) fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        let (sender, receiver) = mpsc::channel(EVENTS_UNREAD_MAX);
        self.pages().readers.push(sender);
        stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|event| (event, receiver))).boxed()
    }

    /// All that the runtime keeps of containers that still run.
    pub(super) fn running(&self) -> Vec<(ContainerId, C)> {
        let pages = self.pages();
        let containers = pages.sandboxes.values().flat_map(|entry| entry.containers.iter());
        let running = containers.filter(|(status, _)| is_running(&status.state));
        running.map(|(status, own)| (status.id.clone(), own.clone())).collect()
    }
}

impl<S, C> Pages<S, C> {
    /// A reader that is gone or has let too much pile up is dropped: its stream ends.
    fn tell(&mut self, event: RuntimeEvent) {
        self.readers.retain(|reader| reader.try_send(event.clone()).is_ok());
    }
}

impl<S, C> SandboxEntry<S, C> {
    fn status(&self, id: &SandboxId) -> SandboxStatus {
        SandboxStatus {
            id: id.clone(),
            uid: Arc::clone(&self.uid),
            attempt: self.attempt,
            addresses: self.addresses.clone(),
            containers: self.containers.iter().map(|(status, _)| status.clone()).collect(),
        }
    }
}

pub(super) fn is_running(state: &ContainerState) -> bool {
    matches!(state, ContainerState::Running { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_id_leads_back_to_its_sandbox() {
        let sandbox = sandbox_id("static.pod.uid", 3);
        assert_eq!(sandbox_of(&container_id(&sandbox, "web", 12)), Some(sandbox));
        assert_eq!(sandbox_of(&ContainerId("nonsense".into())), None);
    }
}
