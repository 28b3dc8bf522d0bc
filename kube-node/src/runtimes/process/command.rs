//! What is executed: program, arguments, environment, directory, with nothing left to look up.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::record::ContainerRecord;
use crate::runtime::{ContainerSpec, RuntimeError};

/// One program to start.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) program: PathBuf,
    /// With the program's name as it was given first.
    pub(super) words: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) directory: PathBuf,
}

impl Invocation {
    /// A container's main process.
    pub(super) fn of_container(
        spec: &ContainerSpec,
        entry_point: &[String],
        record: &ContainerRecord,
    ) -> Result<Self, RuntimeError> {
        let command = if spec.command.is_empty() { entry_point } else { &spec.command };
        let words: Vec<String> = command.iter().chain(&spec.args).cloned().collect();
        if words.is_empty() {
            let why = format!("no command specified: image {:?} is only a name to the process runtime", spec.image);
            return Err(RuntimeError::Container(why));
        }
        Self::of_command(&words, record)
    }

    /// A command in the container's environment.
    pub(super) fn of_command(words: &[String], record: &ContainerRecord) -> Result<Self, RuntimeError> {
        let paths = record.paths();
        let words: Vec<String> = words.iter().map(|word| paths.rewrite(word)).collect();
        let directory = record.working_directory.clone();
        let name = words.first().ok_or_else(|| RuntimeError::Container("no command specified".into()))?;
        let search = record.env.get("PATH").map_or("", String::as_str);
        let program = find_program(name, search, &directory).map_err(RuntimeError::Container)?;
        Ok(Self { program, env: record.env.clone(), directory, words })
    }
}

/// The file that a name stands for: itself if it is a path, else the first executable of that name along `search`.
fn find_program(name: &str, search: &str, directory: &Path) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = directory.join(name);
        return match executable(&path) {
            Ok(true) => Ok(path),
            Ok(false) => Err(format!("exec: {name:?}: permission denied")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(format!("exec: {name:?}: stat {name}: no such file or directory"))
            }
            Err(error) => Err(format!("exec: {name:?}: stat {name}: {error}")),
        };
    }
    let mut candidates = search.split(':').map(|folder| directory.join(folder).join(name));
    let found = candidates.find(|path| !name.is_empty() && executable(path).unwrap_or(false));
    found.ok_or_else(|| format!("exec: {name:?}: executable file not found in $PATH"))
}

fn executable(path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, search: &str, expected: Result<&str, &str>) {
        let found = find_program(name, search, Path::new("/"));
        assert_eq!(found.as_deref().map(Path::to_string_lossy).map_err(String::as_str), expected.map(Into::into));
    }

    #[test]
    fn programs_are_found_as_a_container_engine_finds_them() {
        check("sh", "/nowhere:/bin", Ok("/bin/sh"));
        check("/bin/sh", "", Ok("/bin/sh"));
        check("bin/sh", "", Ok("/bin/sh"));
        check("sh", "/nowhere", Err("exec: \"sh\": executable file not found in $PATH"));
        check("", "/bin", Err("exec: \"\": executable file not found in $PATH"));
        check("/nowhere/sh", "/bin", Err("exec: \"/nowhere/sh\": stat /nowhere/sh: no such file or directory"));
        check("/etc/passwd", "/bin", Err("exec: \"/etc/passwd\": permission denied"));
    }
}
