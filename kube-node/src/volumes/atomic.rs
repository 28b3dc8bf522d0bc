//! Files that change all at once: a reader sees the old ones or the new ones, never some of each.
//! Source: kubelet `volume/util/atomic_writer.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::payload::File;

/// The link that is switched.
const DATA: &str = "..data";

/// Makes a directory show these files. Does nothing if it does already. Blocks.
///
/// # Errors
/// If the disk does not do as told, or a path leads out of the directory.
pub fn write(directory: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    set_mode(directory, 0o755)?;
    if let Some(path) = files.keys().find(|path| !stays_inside(path)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("invalid path {path:?}")));
    }
    let current = fs::read_link(directory.join(DATA)).ok();
    if current.as_ref().is_some_and(|current| shows(&directory.join(current), files)) {
        return Ok(());
    }
    let next = PathBuf::from(format!("..{}", number_of(current.as_deref()) + 1));
    fill(&directory.join(&next), files)?;
    switch(directory, &next)?;
    link_names(directory, files)?;
    match current {
        Some(old) => fs::remove_dir_all(directory.join(old)),
        None => Ok(()),
    }
}

/// Sets permission bits.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn stays_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with("..")
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

fn number_of(current: Option<&Path>) -> u64 {
    let name = current.and_then(|path| path.to_str()).and_then(|name| name.strip_prefix(".."));
    name.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Whether a directory holds exactly these files.
fn shows(directory: &Path, files: &BTreeMap<String, File>) -> bool {
    let same = |(path, file): (&String, &File)| {
        let path = directory.join(path);
        let mode = fs::metadata(&path).map(|metadata| metadata.permissions().mode() & 0o7777);
        mode.is_ok_and(|mode| mode == file.mode) && fs::read(&path).is_ok_and(|data| data == file.data)
    };
    count(directory).is_ok_and(|count| count == files.len()) && files.iter().all(same)
}

fn count(directory: &Path) -> io::Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

fn fill(directory: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    // What an interrupted write left behind.
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir(directory)?;
    set_mode(directory, 0o755)?;
    for (path, file) in files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.data)?;
        set_mode(&path, file.mode)?;
    }
    Ok(())
}

fn switch(directory: &Path, next: &Path) -> io::Result<()> {
    let temporary = directory.join("..data_tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(next, &temporary)?,
    }
    fs::rename(temporary, directory.join(DATA))
}

/// Makes a link for the first part of every path, and removes those of files that are no more.
fn link_names(directory: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let names: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with("..")) else { continue };
        if !names.contains(name) {
            fs::remove_file(directory.join(name))?;
        }
    }
    for name in names {
        let link = directory.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), link)?;
        }
    }
    Ok(())
}
