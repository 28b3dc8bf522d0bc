//! The streams of a command: each has a header that says which of them it is.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{ExecStreams, ExecWanted};
use crate::spdy::headers::Headers;
use crate::spdy::{Output, Stream};

/// How long a client may take to open all its streams. Source: kubelet `StreamCreationTimeout`.
const STREAMS_WAIT: Duration = Duration::from_secs(30);
/// The header that says what a stream is for.
pub(super) const STREAM_TYPE: &str = "streamtype";

/// What each of a WebSocket's channels is, by number.
pub(super) fn channels() -> Vec<Headers> {
    let types = ["stdin", "stdout", "stderr", "error", "resize"];
    types.map(|kind| vec![(STREAM_TYPE.to_owned(), kind.to_owned())]).into()
}

/// A command that runs, and a client that listens.
pub(super) struct Command {
    pub(super) running: ExecStreams,
    pub(super) wanted: ExecWanted,
    /// Of the protocol.
    pub(super) version: u8,
}

/// The client's ends of a command's streams.
#[derive(Default)]
struct Ends {
    error: Option<Output>,
    stdin: Option<mpsc::Receiver<Bytes>>,
    stdout: Option<Output>,
    stderr: Option<Output>,
    resize: Option<mpsc::Receiver<Bytes>>,
}

impl Command {
    /// Carries the streams until the command ends.
    pub(super) async fn serve(self, streams: mpsc::Receiver<Stream>) {
        let collected = collect(&self.wanted, self.version, streams);
        let Ok(ends) = tokio::time::timeout(STREAMS_WAIT, collected).await else { return };
        let ExecStreams { stdin, output, exit, resize } = self.running;
        let Ends { error, stdin: typed, stdout, stderr, resize: sizes } = ends;
        let inputs = async {
            tokio::join!(pump(typed, stdin), pump_sizes(sizes, resize));
            std::future::pending().await
        };
        // Side by side, so that a command that waits for its output to be read does not keep its input from arriving.
        tokio::select! {
            () = print(output, [&stdout, &stderr]) => {}
            () = inputs => {}
        }
        let end = exit.await;
        if let Some(error) = &error {
            let _nobody_listens = error.write(told(end, self.version)).await;
        }
        for end in [stdout, stderr, error].into_iter().flatten() {
            end.end().await;
        }
    }
}

/// Waits for the streams that the client said it would open.
async fn collect(wanted: &ExecWanted, version: u8, mut streams: mpsc::Receiver<Stream>) -> Ends {
    let has_sizes = wanted.tty && version >= 3;
    let ExecWanted { stdin, stdout, stderr, .. } = *wanted;
    let mut missing = [true, stdin, stdout, stderr, has_sizes].into_iter().filter(|is_wanted| *is_wanted).count();
    let mut ends = Ends::default();
    while missing > 0
        && let Some(stream) = streams.recv().await
    {
        stream.accept().await;
        let kind = stream.header(STREAM_TYPE).to_owned();
        let Stream { input, output, .. } = stream;
        match &*kind {
            "error" => ends.error = Some(output),
            "stdin" if stdin => ends.stdin = Some(input),
            "stdout" if stdout => ends.stdout = Some(output),
            "stderr" if stderr => ends.stderr = Some(output),
            "resize" if has_sizes => ends.resize = Some(input),
            _ => continue,
        }
        missing -= 1;
    }
    ends
}

/// Hands on what is typed; the end of it is the end of the command's input.
async fn pump(typed: Option<mpsc::Receiver<Bytes>>, stdin: Option<mpsc::Sender<Bytes>>) {
    let (Some(mut typed), Some(stdin)) = (typed, stdin) else { return };
    while let Some(bytes) = typed.recv().await {
        if stdin.send(bytes).await.is_err() {
            return;
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

/// Hands on the terminal's sizes, each a document such as `{"Width":80,"Height":24}`.
async fn pump_sizes(sizes: Option<mpsc::Receiver<Bytes>>, resize: Option<mpsc::Sender<(u16, u16)>>) {
    let (Some(mut sizes), Some(resize)) = (sizes, resize) else { return };
    while let Some(bytes) = sizes.recv().await {
        let sizes: Vec<Size> = serde_json::Deserializer::from_slice(&bytes).into_iter().map_while(Result::ok).collect();
        for Size { width, height } in sizes {
            let _command_is_gone = resize.send((width, height)).await;
        }
    }
}

/// Hands on what the command prints, until it prints no more. What nobody reads is dropped.
async fn print(mut output: futures::stream::BoxStream<'static, (bool, Bytes)>, ends: [&Option<Output>; 2]) {
    let [stdout, stderr] = ends;
    while let Some((is_error, bytes)) = output.next().await {
        if let Some(end) = if is_error { stderr } else { stdout } {
            let _nobody_reads = end.write(bytes).await;
        }
    }
}

/// How a command ended, as the error stream tells it.
fn told(exit: Result<i32, String>, version: u8) -> Bytes {
    let status = outcome(exit);
    if version >= 4 {
        return serde_json::to_vec(&status).unwrap_or_default().into();
    }
    match status.status.as_deref() {
        Some("Success") => Bytes::new(),
        _ => status.message.unwrap_or_default().into(),
    }
}

fn outcome(exit: Result<i32, String>) -> meta::Status {
    let failure = |message: String, reason: &str| meta::Status {
        message: Some(message),
        reason: Some(reason.to_owned()),
        status: Some("Failure".to_owned()),
        ..meta::Status::default()
    };
    match exit {
        Ok(0) => meta::Status { status: Some("Success".to_owned()), ..meta::Status::default() },
        Ok(code) => {
            let cause =
                meta::StatusCause { reason: Some("ExitCode".to_owned()), message: Some(code.to_string()), field: None };
            let details = meta::StatusDetails { causes: Some(vec![cause]), ..meta::StatusDetails::default() };
            let message = format!("command terminated with non-zero exit code: exit status {code}");
            meta::Status { details: Some(details), ..failure(message, "NonZeroExitCode") }
        }
        Err(why) => meta::Status { code: Some(500), ..failure(why, "InternalError") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_causes() {
        let status = outcome(Ok(3));
        assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));
        assert_eq!(status.details.unwrap().causes.unwrap()[0].message.as_deref(), Some("3"));
        let success = r#"{"apiVersion":"v1","kind":"Status","metadata":{},"status":"Success"}"#;
        assert_eq!(told(Ok(0), 4), success);
        assert_eq!(told(Ok(0), 3), "");
        assert_eq!(told(Ok(3), 1), "command terminated with non-zero exit code: exit status 3");
        assert_eq!(told(Err("lost".to_owned()), 1), "lost");
    }

    #[tokio::test]
    async fn sizes_come_as_documents() {
        let ((typed, sizes), (resize, mut resized)) = (mpsc::channel(4), mpsc::channel(4));
        for piece in ["{\"Width\":80,\"Height\":24}\n{\"Width\":1,\"Height\":2}", "junk", "{\"Width\":3,\"Height\":4}"]
        {
            typed.send(Bytes::from(piece)).await.unwrap();
        }
        drop(typed);
        pump_sizes(Some(sizes), Some(resize)).await;
        let mut seen = Vec::new();
        while let Some(size) = resized.recv().await {
            seen.push(size);
        }
        assert_eq!(seen, [(80, 24), (1, 2), (3, 4)]);
    }
}
