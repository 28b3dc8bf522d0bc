//! A pod's volumes: what each shows ([`plan`], pure), how it gets onto disk ([`make`]), where containers see it ([`mounts`]).
//!
//! ```text
//! <root>/pods/<uid>/volumes/<name>/..data -> ..3        everything below is switched by one rename
//! <root>/pods/<uid>/volumes/<name>/key    -> ..data/key
//! ```

pub mod atomic;
pub mod mounts;
pub mod payload;
pub mod token;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use coracle_core::World;
use coracle_core::volume::{claim_name, is_made_for};
use k8s_openapi::api::core::v1::{HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod, Volume};

use crate::pod::field::Surroundings;
pub use payload::{File, Payload};
pub use token::{Token, TokenSource, TokenWish};

/// What a volume is on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An empty directory of the pod's own.
    Empty,
    /// Files made from objects.
    Files(Payload),
    /// A place on the host.
    Host {
        /// Where.
        path: PathBuf,
        /// What must be there, as `hostPath.type` spells it; empty: anything.
        kind: String,
    },
}

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its name in the pod.
    pub name: String,
    /// What it is.
    pub source: Source,
}

/// Works out all volumes of a pod.
///
/// # Errors
/// The first that cannot be made, in upstream's words: the pod waits with a `FailedMount` event.
pub fn plan(pod: &Pod, world: &World, around: &Surroundings<'_>) -> Result<Vec<Plan>, String> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let one = |volume: &Volume| {
        let source = source(volume, pod, world, around).map_err(|why| failed(&volume.name, &why))?;
        Ok(Plan { name: volume.name.clone(), source })
    };
    volumes.map(one).collect()
}

/// The message of a `FailedMount` event.
#[must_use]
pub fn failed(volume: &str, why: &str) -> String {
    format!("MountVolume.SetUp failed for volume {volume:?} : {why}")
}

fn source(volume: &Volume, pod: &Pod, world: &World, around: &Surroundings<'_>) -> Result<Source, String> {
    let payload = payload::Sources { pod, world, around };
    match volume {
        Volume { empty_dir: Some(_), .. } => Ok(Source::Empty),
        Volume { config_map: Some(from), .. } => payload.config_map(from).map(Source::Files),
        Volume { secret: Some(from), .. } => payload.secret(from).map(Source::Files),
        Volume { downward_api: Some(from), .. } => payload.downward(from).map(Source::Files),
        Volume { projected: Some(from), .. } => payload.projected(from).map(Source::Files),
        Volume { host_path: Some(from), .. } => Ok(host(from)),
        Volume { persistent_volume_claim: Some(_), .. } | Volume { ephemeral: Some(_), .. } => {
            claimed(volume, pod, world)
        }
        other => Err(format!("volume type {:?} is not supported by this node", type_of(other))),
    }
}

fn host(from: &HostPathVolumeSource) -> Source {
    Source::Host { path: PathBuf::from(&from.path), kind: from.type_.clone().unwrap_or_default() }
}

/// A claim is as good as the volume it is bound to, which must be a place on this host.
fn claimed(volume: &Volume, pod: &Pod, world: &World) -> Result<Source, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or("");
    let name = claim_name(pod, volume).unwrap_or_default();
    let claim = world.get::<PersistentVolumeClaim>(namespace, &name);
    let claim = claim.ok_or_else(|| format!("persistentvolumeclaim {name:?} not found"))?;
    if volume.ephemeral.is_some() {
        is_made_for(&claim, pod)?;
    }
    let volume = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).filter(|name| !name.is_empty());
    let volume = volume.ok_or_else(|| format!("PVC {namespace}/{name} is not bound"))?;
    let found = world.get::<PersistentVolume>("", volume);
    let found = found.ok_or_else(|| format!("persistentvolume {volume:?} not found"))?;
    match found.spec.as_ref().map(|spec| (&spec.host_path, &spec.local)) {
        Some((Some(from), _)) => Ok(host(from)),
        Some((_, Some(local))) => Ok(Source::Host { path: PathBuf::from(&local.path), kind: String::new() }),
        _ => Err(format!("the type of persistentvolume {volume:?} is not supported by this node")),
    }
}

/// The name of a volume's type, such as `nfs`.
fn type_of(volume: &Volume) -> String {
    let json = serde_json::to_value(volume).unwrap_or_default();
    let fields = json.as_object().map(|fields| fields.keys().filter(|key| *key != "name").cloned().collect());
    fields.and_then(|fields: Vec<String>| fields.into_iter().next()).unwrap_or_else(|| "emptyDir".to_owned())
}

/// The directory in which a node keeps what belongs to a pod.
#[must_use]
pub fn pod_directory(root: &Path, uid: &str) -> PathBuf {
    root.join("pods").join(uid)
}

/// Where a volume of a pod is on the host, unless it is a host path.
#[must_use]
pub fn volume_directory(pod_directory: &Path, name: &str) -> PathBuf {
    pod_directory.join("volumes").join(name)
}

/// Makes volumes, or brings them up to date. Blocks.
///
/// # Errors
/// The first volume that cannot be made, as a `FailedMount` event says it.
pub fn make(pod_directory: &Path, plans: &[Plan]) -> Result<(), String> {
    std::fs::create_dir_all(pod_directory).map_err(|error| error.to_string())?;
    plans.iter().try_for_each(|plan| make_one(pod_directory, plan).map_err(|why| failed(&plan.name, &why)))
}

fn make_one(pod_directory: &Path, plan: &Plan) -> Result<(), String> {
    let directory = volume_directory(pod_directory, &plan.name);
    let text = |error: io::Error| error.to_string();
    match &plan.source {
        Source::Empty => {
            std::fs::create_dir_all(&directory).map_err(text)?;
            atomic::set_mode(&directory, 0o777).map_err(text)
        }
        Source::Files(payload) => atomic::write(&directory, &payload.files).map_err(text),
        Source::Host { path, kind } => host_path(path, kind),
    }
}

/// Source: core/v1 HostPathType.
fn host_path(path: &Path, kind: &str) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let fails = |what: &str| Err(format!("hostPath type check failed: {} is not {what}", path.display()));
    match kind {
        "DirectoryOrCreate" => std::fs::create_dir_all(path).map_err(text),
        "FileOrCreate" if !path.exists() => std::fs::write(path, b"").map_err(text),
        "Directory" if !path.is_dir() => fails("a directory"),
        "File" | "FileOrCreate" if !path.is_file() => fails("a file"),
        "Socket" | "CharDevice" | "BlockDevice" if !path.exists() => fails("there"),
        _ => Ok(()),
    }
}

/// Removes everything that belongs to a pod. Blocks.
///
/// # Errors
/// If the directory cannot be removed.
pub fn remove(pod_directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(pod_directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The host's side of each volume, by name.
#[must_use]
pub fn host_paths(pod_directory: &Path, plans: &[Plan]) -> BTreeMap<String, PathBuf> {
    let of = |plan: &Plan| match &plan.source {
        Source::Host { path, .. } => path.clone(),
        Source::Empty | Source::Files(_) => volume_directory(pod_directory, &plan.name),
    };
    plans.iter().map(|plan| (plan.name.clone(), of(plan))).collect()
}

#[cfg(test)]
mod tests;
