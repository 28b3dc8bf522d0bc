//! A cluster for `kubectl`: listens on loopback with TLS, writes a kubeconfig, and runs pods until Ctrl-C.
//!
//! `cargo run --release --example serve -- [--listen 127.0.0.1:6443] [--kubeconfig PATH] [--nodes 1] [--runtime process|simulated]`

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use coracle::node::runtimes::ProcessRuntime;
use coracle::{Cluster, Node};

struct Arguments {
    listen: SocketAddr,
    kubeconfig: PathBuf,
    nodes: usize,
    simulated: bool,
}

fn read_arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        listen: SocketAddr::from(([127, 0, 0, 1], 6443)),
        kubeconfig: std::env::temp_dir().join("coracle.kubeconfig"),
        nodes: 1,
        simulated: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let value = given.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--listen" => arguments.listen = value.parse()?,
            "--kubeconfig" => arguments.kubeconfig = value.into(),
            "--nodes" => arguments.nodes = value.parse()?,
            "--runtime" if value == "simulated" => arguments.simulated = true,
            "--runtime" if value == "process" => arguments.simulated = false,
            "--runtime" => return Err(format!("unknown runtime {value:?}: process or simulated").into()),
            _ => return Err(format!("unknown flag {flag:?}: --listen, --kubeconfig, --nodes or --runtime").into()),
        }
    }
    Ok(arguments)
}

/// Ctrl-C, or what a supervisor sends.
async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        biased;
        result = tokio::signal::ctrl_c() => result,
        _ = terminate.recv() => Ok(()),
    }
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = read_arguments()?;
    let builder = Cluster::builder().serve(arguments.listen);
    let builder = if arguments.simulated {
        builder.nodes(arguments.nodes, Node::simulated())
    } else {
        let nodes = (0..arguments.nodes).map(|number| Ok(Node::new(format!("node-{number}"), ProcessRuntime::new()?)));
        nodes.collect::<Result<Vec<_>, Box<dyn Error>>>()?.into_iter().fold(builder, |builder, node| builder.node(node))
    };
    let cluster = builder.start().await?;
    cluster.write_kubeconfig(&arguments.kubeconfig)?;
    let address = cluster.address().ok_or("the cluster does not listen")?;
    println!("listening on https://{address}");
    println!("export KUBECONFIG={}", arguments.kubeconfig.display());
    println!("ready");
    asked_to_stop().await?;
    println!("stopping");
    let stopped = cluster.shutdown().await;
    std::fs::remove_file(&arguments.kubeconfig)?;
    if stopped.left > 0 { Err(format!("{} tasks did not end", stopped.left).into()) } else { Ok(()) }
}
