//! Descriptors that tokio watches.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets tokio tell when a descriptor is ready. Must be called within a tokio runtime.
pub(super) fn watched(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is always the same open descriptor until it is dropped, which is all that is asked for.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}
