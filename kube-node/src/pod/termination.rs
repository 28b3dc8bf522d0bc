//! What a container leaves to say when it ends. Source: kubelet `getTerminationMessage`.

use k8s_openapi::api::core::v1::Container;

/// Bytes that are kept of a termination message file.
pub const MESSAGE_BYTES_MAX: usize = 4096;
/// Bytes that are kept of the log's end in place of a message.
pub const LOG_BYTES_MAX: usize = 2048;
/// Lines that are kept of the log's end in place of a message.
pub const LOG_LINES_MAX: u64 = 80;

/// Whether the end of the log is wanted: the container asks for it, failed, and left no message.
#[must_use]
pub fn wants_log(container: &Container, exit_code: i32, file: &[u8]) -> bool {
    let fallback = container.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
    fallback && exit_code != 0 && file.is_empty()
}

/// The message of a file: its beginning.
#[must_use]
pub fn of_file(file: &[u8]) -> String {
    String::from_utf8_lossy(file.get(..MESSAGE_BYTES_MAX).unwrap_or(file)).into_owned()
}

/// The message of a log: its end.
#[must_use]
pub fn of_log(log: &[u8]) -> String {
    let start = log.len().saturating_sub(LOG_BYTES_MAX);
    String::from_utf8_lossy(log.get(start..).unwrap_or(log)).into_owned()
}
