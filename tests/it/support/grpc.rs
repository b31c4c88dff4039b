//! A real gRPC server with the health service, or without.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use super::clock::until;
use super::wire::own_address;

/// A server under way.
pub struct Grpc {
    address: SocketAddr,
    reporter: HealthReporter,
    handle: tokio::runtime::Handle,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
}

impl Grpc {
    /// Answers health checks; the server as a whole is SERVING.
    pub fn healthy() -> Self {
        Self::start(true)
    }

    /// Answers UNIMPLEMENTED to everything.
    pub fn without_health() -> Self {
        Self::start(false)
    }

    fn start(with_health: bool) -> Self {
        let address = own_address();
        let (reporter, health) = health_reporter();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let handle = runtime.handle().clone();
        let serving = thread::spawn(move || {
            runtime.block_on(async move {
                let mut server = Server::builder();
                let routes = if with_health {
                    server.add_service(health)
                } else {
                    server.add_routes(tonic::service::Routes::default())
                };
                let until = async { drop(stopped.await) };
                routes
                    .serve_with_shutdown(address, until)
                    .await
                    .expect("the address is ours");
            });
        });
        until("a gRPC server", || {
            std::net::TcpStream::connect(address).ok()
        });
        Self {
            address,
            reporter,
            handle,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says of a service from now on; no name is the server as a whole.
    pub fn set(&self, service: &'static str, is_serving: bool) {
        let status = if is_serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        let reporter = self.reporter.clone();
        let (done, wait) = std::sync::mpsc::channel();
        self.handle.spawn(async move {
            reporter.set_service_status(service, status).await;
            // Whoever waits does so below.
            let _ = done.send(());
        });
        wait.recv().expect("the status is set");
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.serving.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the gRPC server panicked");
        }
    }
}
