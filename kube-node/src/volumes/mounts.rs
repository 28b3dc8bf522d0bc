//! Where a container sees its pod's volumes.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use crate::environment::Environment;
use crate::runtime::Mount;

/// The mounts of a container, with the paths below a volume that are to be made if they are not there.
///
/// # Errors
/// A volume that is not there, or a path below a volume that leads out of it: the container waits with
/// `CreateContainerConfigError`.
pub fn mounts(
    container: &Container,
    volumes: &BTreeMap<String, PathBuf>,
    environment: &Environment,
) -> Result<Vec<Mount>, String> {
    container.volume_mounts.iter().flatten().map(|mount| one(mount, volumes, environment)).collect()
}

fn one(mount: &VolumeMount, volumes: &BTreeMap<String, PathBuf>, environment: &Environment) -> Result<Mount, String> {
    let Some(volume) = volumes.get(&mount.name) else {
        return Err(format!("cannot find volume {:?} to mount into container", mount.name));
    };
    let host_path = match below(mount, environment)? {
        Some(path) => volume.join(path),
        None => volume.clone(),
    };
    let read_only = mount.read_only == Some(true);
    Ok(Mount { host_path, container_path: mount.mount_path.clone(), read_only })
}

/// The path below the volume, from `subPath` or `subPathExpr`.
fn below(mount: &VolumeMount, environment: &Environment) -> Result<Option<String>, String> {
    let plain = mount.sub_path.as_ref().filter(|path| !path.is_empty()).cloned();
    let expression = mount.sub_path_expr.as_ref().filter(|path| !path.is_empty());
    let path = match expression {
        None => plain,
        Some(expression) => {
            let path = environment.expand(expression);
            if path.contains("$(") {
                return Err(format!("missing value for subPathExpr {expression:?}"));
            }
            Some(path)
        }
    };
    let Some(path) = path else { return Ok(None) };
    if Path::new(&path).is_absolute() {
        return Err(format!("error SubPath `{path}` must not be an absolute path"));
    }
    if Path::new(&path).components().any(|part| part == Component::ParentDir) {
        return Err(format!("unable to provision SubPath `{path}`: must not contain '..'"));
    }
    Ok(Some(path))
}

/// Makes what is mounted and is not there: directories below writable volumes. Blocks.
///
/// # Errors
/// If a directory cannot be made.
pub fn make_missing(mounts: &[Mount]) -> std::io::Result<()> {
    let missing = mounts.iter().filter(|mount| !mount.host_path.exists());
    missing.into_iter().try_for_each(|mount| std::fs::create_dir_all(&mount.host_path))
}
